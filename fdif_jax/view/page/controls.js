"use strict";

/** Sliders, keys and the wheel: where the planes cut, how large and how bright they are. */
fdif.controls = (() => {
  const { at, make } = fdif;
  const KEYS = {
    ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowDown: [0, -1, 0], ArrowUp: [0, 1, 0],
    PageDown: [0, 0, -1], PageUp: [0, 0, 1],
  };
  let sliders = [];
  let greys = [0, 1];

  const capital = (word) => word[0].toUpperCase() + word.slice(1);

  function makeSlider(plane, axis) {
    const range = make("input", { type: "range", min: 0, step: 1, id: `slice-${plane}` });
    const number = make("output");
    range.addEventListener("input", () => {
      const place = fdif.scene.voxel();
      place[axis] = Number(range.value);
      fdif.scene.goTo(place);
    });
    at("slices").prepend(make("label", {}, capital(plane), range, number));
    return { range, number };
  }

  /** Puts the sliders where the cross is. */
  function follow(place) {
    const size = fdif.scene.size();
    sliders.forEach(({ range, number }, axis) => {
      range.max = size[axis] - 1;
      range.value = place[axis];
      number.textContent = `${place[axis] + 1} of ${size[axis]}`;
      range.setAttribute("aria-valuetext", number.textContent);
    });
  }

  function shade() {
    const [low, high] = greys;
    const middle = (low + high) / 2 - Number(at("brightness").value) * (high - low);
    const half = (high - low) / 2 / 2 ** Number(at("contrast").value);
    fdif.scene.window(middle - half, middle + half);
  }

  function zoomBy(steps) {
    at("zoom").value = Number(at("zoom").value) * 1.15 ** steps;
    fdif.scene.zoom(Number(at("zoom").value));
  }

  function reset() {
    for (const id of ["zoom", "brightness", "contrast", "opacity", "smooth"]) {
      at(id).value = at(id).defaultValue;
      at(id).checked = at(id).defaultChecked;
    }
    fdif.scene.zoom(1);
    fdif.scene.setOpacity(Number(at("opacity").value));
    fdif.scene.setSmooth(false);
    shade();
  }

  /** Keys of the planes; the viewer's own would do other things. */
  function pressed(event) {
    if (event.key in KEYS) {
      const size = fdif.scene.size();
      const moved = fdif.scene.voxel().map((at, axis) => at + KEYS[event.key][axis]);
      fdif.scene.goTo(moved.map((at, axis) => Math.min(Math.max(at, 0), size[axis] - 1)));
    } else if (event.key === "+" || event.key === "=") {
      zoomBy(1);
    } else if (event.key === "-") {
      zoomBy(-1);
    } else if (event.key === "0") {
      reset();
    } else {
      event.stopImmediatePropagation();
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  function wheeled(event) {
    if (!event.ctrlKey) return;
    zoomBy(-Math.sign(event.deltaY));
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  /** Settings that stay as they are from sample to sample are put on a new one. */
  function renew(image) {
    greys = [image.cal_min, image.cal_max];
    fdif.scene.zoom(Number(at("zoom").value));
    shade();
  }

  /** Before the viewer, so that its own keys and wheel come second. */
  function start() {
    sliders = fdif.scene.PLANES.map(makeSlider);
    at("planes").addEventListener("keydown", pressed);
    at("planes").addEventListener("keyup", (event) => event.stopImmediatePropagation());
    at("planes").addEventListener("wheel", wheeled, { passive: false });
    at("zoom").addEventListener("input", () => zoomBy(0));
    at("brightness").addEventListener("input", shade);
    at("contrast").addEventListener("input", shade);
    at("opacity").addEventListener("input", () => fdif.scene.setOpacity(Number(at("opacity").value)));
    at("smooth").addEventListener("change", () => fdif.scene.setSmooth(at("smooth").checked));
    at("reset").addEventListener("click", reset);
  }

  return { start, follow, renew };
})();

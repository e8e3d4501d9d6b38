"use strict";

/** The two drawings, by NiiVue: planes of the image with labels over it, and the labels in space. */
fdif.scene = (() => {
  const PLANES = ["sagittal", "coronal", "axial"]; // by the axis that runs across them
  const HALF = 0.497; // a little less, so that there is a gap
  const TILES = { axial: [0, 0], coronal: [1 - HALF, 0], sagittal: [0, 1 - HALF] };
  const SLICE_TYPES = { axial: 0, coronal: 1, sagittal: 2 };
  const RENDER = 4;
  const ATLAS = 1002; // NIfTI's intent code of labels
  const SHARED = { logLevel: "silent", dragAndDropEnabled: false, loadingText: "", fontColor: [1, 0.9, 0.3, 1] };
  let planes;
  let solid = null; // a promise: it is made when the planes are drawn, which come first
  let body = null; // what is drawn in space
  let colours = null;
  let layout = "all";

  async function start(moved) {
    await fdif.run("page/niivue.umd.js");
    planes = await attach("planes", {
      isNearestInterpolation: true,
      showAllOrientationMarkers: true,
      crosshairColor: [0.35, 0.75, 1, 1],
      crosshairWidth: 0.3,
      crosshairWidthUnit: "percent",
      mouseEventConfig: {
        leftButton: { primary: niivue.DRAG_MODE.crosshair },
        rightButton: niivue.DRAG_MODE.pan,
        centerButton: niivue.DRAG_MODE.pan,
      },
    });
    planes.onLocationChange = moved;
    arrange(layout);
  }

  async function startSolid() {
    const made = await attach("solid", { isOrientCube: true, sliceType: RENDER });
    await made.setVolumeRenderIllumination(0.4);
    return made;
  }

  const attach = (id, options) => new niivue.Niivue({ ...SHARED, ...options }).attachToCanvas(fdif.at(id));

  /** Shows all planes and the 3-D view, or one of them. */
  function arrange(name) {
    layout = name;
    const quarter = ([left, top]) => [left, top, HALF, HALF];
    const shown = name in TILES ? [name] : Object.keys(TILES);
    planes.setCustomLayout(shown.map((plane) => ({
      sliceType: SLICE_TYPES[plane],
      position: shown.length === 1 ? [0, 0, 1, 1] : quarter(TILES[plane]),
    })));
  }

  /** Puts volumes in place of those that are there: first the one below. */
  function put(scene, volumes) {
    while (scene.volumes.length) scene.removeVolumeByIndex(scene.volumes.length - 1);
    for (const volume of volumes) scene.addVolume(volume);
  }

  /**
   * Draws an image and what lies over it, if anything; in space the latter, else the image.
   * `table` has a row for each class, background first: red, green, blue, whether it is seen.
   */
  function show(image, over, opacity, table) {
    body = (over ?? image).clone();
    if (over) over.opacity = opacity;
    put(planes, over ? [image, over] : [image]);
    arrange(layout);
    paint(table);
  }

  /** Rows up to a power of two, at which the graphics card finds each colour without rounding. */
  const unused = (rows) => Array(2 ** Math.ceil(Math.log2(rows)) - rows).fill([0, 0, 0, false]);

  /** Gives the classes other colours. */
  function paint(table) {
    const rows = table && [...table, ...unused(table.length)];
    const column = (i) => rows.map((row) => row[i]);
    colours = table && { R: column(0), G: column(1), B: column(2), A: column(3).map((seen) => (seen ? 255 : 0)) };
    colour(planes, planes.volumes[1]);
    setTimeout(embody);
  }

  /**
   * The viewer has two ways to look colours up. The plain one takes the background for a class where
   * a table is longer than 64 rows; the one for atlases fades what is thin.
   */
  function colour(scene, volume) {
    if (!colours) return;
    volume.hdr.intent_code = colours.R.length > 64 ? ATLAS : 0;
    volume.setColormapLabel(structuredClone(colours)); // the viewer changes what it is given
    scene.updateGLVolume();
  }

  async function embody() {
    solid ??= startSolid();
    const scene = await solid;
    if (scene.volumes[0] !== body) put(scene, [body]);
    colour(scene, body);
    document.body.dataset.embodied = "yes";
  }

  const size = () => planes.volumes[0].dimsRAS.slice(1, 4);
  const voxel = () => Array.from(planes.frac2vox(planes.scene.crosshairPos));

  /** Puts the cross onto a voxel. */
  function goTo(place) {
    planes.scene.crosshairPos = planes.vox2frac(place);
    planes.createOnLocationChange();
    planes.drawScene();
  }

  /** Enlarges the planes around the cross. */
  function zoom(factor) {
    const [x, y, z, old] = planes.scene.pan2Dxyzmm;
    const place = planes.frac2mm(planes.scene.crosshairPos);
    const shifted = [x, y, z].map((pan, axis) => pan + (old - factor) * place[axis]);
    planes.setPan2Dxyzmm(factor === 1 ? [0, 0, 0, 1] : [...shifted, factor]);
  }

  /** Sets what is black and what is white. */
  function window(low, high) {
    planes.volumes[0].cal_min = low;
    planes.volumes[0].cal_max = high;
    planes.updateGLVolume();
  }

  return {
    PLANES, start, arrange, show, paint, size, voxel, goTo, zoom, window,
    setOpacity: (value) => planes.volumes.length > 1 && planes.setOpacity(1, value),
    setSmooth: (smooth) => planes.setInterpolation(!smooth),
  };
})();

"use strict";

/** Which sample is open and what is shown of it; puts the parts of the page together. */
(() => {
  const { at, make } = fdif;
  const state = { index: 0, channel: 0, task: 0, shown: "labels" };
  let able = true; // to draw: without it there are lists, counts and scores
  let turn = 0;

  const sample = () => fdif.page.samples[state.index];

  function tell(error) {
    at("message").hidden = !error;
    at("message").textContent = error ? error.message : "";
  }

  /** Draws what the state says; `fresh` where the sample is another one. */
  async function draw(fresh) {
    if (!able) {
      if (sample().counts.length) fdif.classes.show(sample(), state.task, state.shown, null);
      return;
    }
    const own = ++turn;
    try {
      const { below, over, errors } = await fdif.store.open(state);
      if (own !== turn) return; // something else was asked for in the meantime
      const place = fresh ? null : fdif.scene.voxel();
      if (over) fdif.classes.show(sample(), state.task, state.shown, errors);
      fdif.scene.show(below, over, Number(at("opacity").value), over && fdif.classes.table());
      fdif.controls.renew(below);
      fdif.scene.goTo(place ?? fdif.scene.size().map((n, axis) => Math.round(sample().focus[axis] * (n - 1))));
      tell(null);
      performance.mark("drawn");
      document.body.dataset.drawn = `${sample().id} ${state.shown}`;
    } catch (error) {
      if (own === turn) tell(error);
    }
  }

  const times = (numbers) => numbers.join(" × ");

  function describe({ id, split, classes, shape, spacing, shown, dice, apart }) {
    at("name").textContent = id;
    const size = new Set(spacing).size === 1 ? spacing[0] : times(spacing);
    const facts = [split, `${times(shape)} voxels of ${size} mm`];
    if (shown) facts.push(`shown at ${times(shown)}`);
    if (apart) facts.push(`its files lie ${apart.toPrecision(2)} voxels apart by their headers: drawn on the first one's grid`);
    if (dice !== null) facts.push(`Dice ${fdif.score(dice)}`);
    at("facts").textContent = [...facts, ...classes].filter(Boolean).join(" · ");
  }

  /** Opens a sample. */
  function open(index) {
    state.index = index;
    const { counts, compared, predicted } = sample();
    if (!compared) state.shown = predicted ? "predictions" : "labels";
    state.task = Math.min(state.task, Math.max(counts.length - 1, 0));
    at("classes").hidden = !counts.length;
    if (able) {
      at("compare").hidden = !compared;
      at("opacity-label").hidden = !counts.length;
    }
    for (const radio of document.getElementsByName("shown")) radio.checked = radio.value === state.shown;
    fdif.list.mark(index);
    describe(sample());
    history.replaceState(null, "", `#${encodeURIComponent(sample().id)}`);
    return draw(true);
  }

  /** Where the cross is, in words. */
  function moved({ mm, values }) {
    const [image, over] = values;
    const digits = Math.max(1, 1 - Math.floor(Math.log10(Math.min(...sample().spacing)))); // of a tenth of a voxel
    const place = Array.from(mm).slice(0, 3).map((one) => one.toFixed(Math.min(digits, 9))).join(", ");
    const name = over ? fdif.classes.name(Math.round(over.value)) : "";
    at("place").textContent = [`${place} mm`, `value ${Number(image.value.toPrecision(4))}`, name].filter(Boolean).join(" · ");
    fdif.controls.follow(fdif.scene.voxel());
  }

  /** A menu for one of the numbers in the state; hidden where there is no choice. */
  function menu(id, names, field) {
    at(id).append(...names.map((text, value) => make("option", { value, textContent: text })));
    (at(`${id}-label`) ?? at(id)).hidden = names.length < 2;
    at(id).addEventListener("change", () => {
      state[field] = Number(at(id).value);
      draw(false);
    });
  }

  function choices() {
    const { tasks, channels, samples } = fdif.page;
    const most = Math.max(...samples.map((one) => one.channels));
    menu("task", tasks.map((task) => task.name), "task");
    menu("channel", Array.from({ length: most }, (_, i) => channels[i] ?? `channel ${i}`), "channel");
    for (const radio of document.getElementsByName("shown")) {
      radio.addEventListener("change", () => {
        state.shown = radio.value;
        draw(false);
      });
    }
    for (const radio of document.getElementsByName("layout")) {
      radio.addEventListener("change", () => {
        at("views").className = radio.value;
        fdif.scene.arrange(radio.value);
      });
    }
    document.addEventListener("keydown", ({ key, target }) => {
      if (target.matches("input[type=search]")) return;
      if (key === "[" || key === "]") fdif.list.walk(key === "]" ? 1 : -1);
    });
  }

  function headline() {
    const { title, path, listed, samples } = fdif.page;
    document.title = `${title} – fdif view`;
    at("title").textContent = title;
    const scores = samples.map((one) => one.dice).filter((dice) => dice !== null);
    const mean = scores.reduce((sum, dice) => sum + dice, 0) / scores.length;
    at("about").textContent = [
      listed > samples.length ? `${samples.length} of ${listed} samples, evenly spread` : `${listed} ${listed === 1 ? "sample" : "samples"}`,
      ...(scores.length ? [`mean Dice${listed > samples.length ? " of these" : ""} ${fdif.score(mean)}`] : []),
      ...(path === title ? [] : [path]),
    ].join(" · ");
  }

  async function start() {
    headline();
    if (fdif.page.samples.some((one) => one.compared)) state.shown = "differences";
    fdif.list.start(open);
    choices();
    performance.mark("listed");
    fdif.controls.start();
    fdif.classes.start(() => able && fdif.scene.paint(fdif.classes.table()));
    try {
      await fdif.scene.start(moved);
    } catch (error) {
      able = false;
      for (const id of ["slices", "picture", "compare", "layout", "captions"]) at(id).remove();
      tell(new Error(`This browser draws no volumes (${error.message}); one with WebGL 2 does.`));
    }
    const named = fdif.page.samples.findIndex((one) => `#${encodeURIComponent(one.id)}` === location.hash);
    await open(Math.max(named, 0));
  }

  start();
})();

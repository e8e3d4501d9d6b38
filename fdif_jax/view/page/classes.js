"use strict";

/** The table of a sample's classes: which are seen, how many voxels they have, and their Dice. */
fdif.classes = (() => {
  const { at, breakable, make, score } = fdif;
  const KINDS = [[1, "missed", "#1a80ff"], [2, "added", "#ff261a"], [3, "other class", "#ffe61a"]];
  const hidden = new Set();
  let rows = []; // of what is drawn: classes, or kinds of differences
  let group = "";
  let changed = () => {};

  const key = (id) => `${group}/${id}`;

  /** Of each class that a sample holds; the voxels of its volumes hold the place in this table. */
  function classesOf(sample, task, shown) {
    const { classes } = fdif.page.tasks[task];
    return sample.counts[task].map(([id, voxels, predicted, dice], i) => {
      const [name, colour] = classes[id];
      return { id, place: i + 1, name, colour, dice, voxels: (shown === "predictions" ? predicted : voxels) ?? 0 };
    });
  }

  const kindsOf = (errors) => KINDS.map(([id, name, colour]) => ({ id, place: id, name, colour, dice: null, voxels: errors[id] }));

  function checkbox({ id }) {
    const box = make("input", { type: "checkbox", checked: !hidden.has(key(id)) });
    box.addEventListener("change", () => {
      hide([id], !box.checked);
      changed();
    });
    return box;
  }

  /** What is drawn has a box and a colour. */
  function element(row, drawn, compared) {
    const text = make("span", { className: "text" }, ...breakable(row.name));
    const name = drawn ? make("label", { title: row.name }, checkbox(row), fdif.list.swatch(row.colour), text) : text;
    const made = make("tr", {}, make("th", { scope: "row" }, name), make("td", { textContent: row.voxels.toLocaleString("en") }));
    if (compared) made.append(make("td", { textContent: row.dice === null ? "" : score(row.dice) }));
    return made;
  }

  /** Fills the table; `errors` counts the voxels of each kind where differences are drawn. */
  function show(sample, task, shown, errors) {
    const classes = classesOf(sample, task, shown);
    group = errors ? "differences" : `task ${task}`;
    rows = errors ? kindsOf(errors) : classes;
    at("dice-head").hidden = !sample.compared;
    at("kinds").replaceChildren(...(errors ? rows.map((row) => element(row, true, true)) : []));
    at("rows").replaceChildren(...classes.map((row) => element(row, !errors, sample.compared)));
  }

  /** The colours by place, for `scene.show`: red, green, blue, and whether it is seen. */
  function table() {
    const part = (colour, i) => parseInt(colour.slice(i, i + 2), 16);
    const colours = rows.map(({ id, colour }) => [part(colour, 1), part(colour, 3), part(colour, 5), !hidden.has(key(id))]);
    return [[0, 0, 0, false], ...colours];
  }

  function hide(ids, yes) {
    for (const id of ids) {
      if (yes) hidden.add(key(id));
      else hidden.delete(key(id));
    }
  }

  function setAll(seen) {
    hide(rows.map((one) => one.id), !seen);
    for (const box of at("classes").querySelectorAll("input")) box.checked = seen;
    changed();
  }

  /** `told` is called when something was shown or hidden. */
  function start(told) {
    changed = told;
    at("all").addEventListener("click", () => setAll(true));
    at("none").addEventListener("click", () => setAll(false));
  }

  const name = (place) => rows[place - 1]?.name ?? "";

  return { start, show, table, name };
})();

"use strict";

/** The list of samples: thumbnails, names, chips; filtered, ordered, and walked by keys. */
fdif.list = (() => {
  const CHIPS = 3;
  const { at, make, score } = fdif;
  let options = [];
  let chosen = -1;
  let choose = () => {};

  /** Names and colours of the classes that a sample shows. */
  function classesOf(sample) {
    const own = sample.classes.map((name) => [name, null]);
    sample.counts.forEach((counts, task) => {
      for (const [id] of counts) own.push(fdif.page.tasks[task].classes[id]);
    });
    return own;
  }

  function chip(name, colour) {
    const made = make("span", { className: "chip", title: name });
    if (colour) made.append(swatch(colour));
    made.append(make("span", { className: "text", textContent: name }));
    return made;
  }

  function swatch(colour) {
    const made = make("span", { className: "swatch" });
    made.style.backgroundColor = colour;
    return made;
  }

  function chips(sample) {
    const all = classesOf(sample);
    const made = all.slice(0, CHIPS).map((one) => chip(...one));
    if (all.length > CHIPS) made.push(make("span", { className: "more", textContent: `+${all.length - CHIPS}` }));
    if (sample.dice !== null) made.unshift(chip(`Dice ${score(sample.dice)}`));
    return made;
  }

  function option(sample, index) {
    const picture = make("img", { src: `thumbnails/${sample.file}.jpg`, alt: "", loading: "lazy", decoding: "async" });
    const text = make("div", {},
      make("span", { className: "name", textContent: sample.id }),
      ...(sample.split ? [make("span", { className: "note", textContent: sample.split })] : []),
      make("div", { className: "chips" }, ...chips(sample)));
    const made = make("li", { tabIndex: -1, id: `sample-${index}` }, make("div", { className: "thumb" }, picture), text);
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", "false");
    made.addEventListener("click", () => choose(index));
    const words = [sample.id, sample.split, ...classesOf(sample).map(([name]) => name)];
    return { element: made, sample, index, words: words.join("\n").toLowerCase() };
  }

  const ORDERS = {
    listed: (a, b) => a.index - b.index,
    name: (a, b) => a.sample.id.localeCompare(b.sample.id, undefined, { numeric: true }),
    dice: (a, b) => (a.sample.dice ?? 2) - (b.sample.dice ?? 2),
  };

  /** The options that pass the filter, in the order asked for. */
  function visible() {
    const wanted = at("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    return options
      .filter((one) => wanted.every((word) => one.words.includes(word)))
      .sort(ORDERS[at("order").value]);
  }

  function refresh() {
    const shown = visible();
    at("list").replaceChildren(...shown.map((one) => one.element));
    at("found").textContent = shown.length === options.length ? "" : `${shown.length} of ${options.length} samples`;
    const reachable = shown.find((one) => one.index === chosen) ?? shown[0];
    for (const one of options) one.element.tabIndex = one === reachable ? 0 : -1;
  }

  /** Marks a sample as the one that is open. */
  function mark(index) {
    const focused = document.activeElement?.closest("#list li");
    chosen = index;
    for (const one of options) {
      one.element.setAttribute("aria-selected", String(one.index === index));
      one.element.tabIndex = one.index === index ? 0 : -1;
    }
    const element = options[index].element;
    if (focused) element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Opens the sample so many places further in the list. */
  function walk(steps) {
    const shown = visible();
    const place = shown.findIndex((one) => one.index === chosen);
    const next = shown[Math.min(Math.max(place + steps, 0), shown.length - 1)];
    if (next && next.index !== chosen) choose(next.index);
  }

  function walkByKey(event) {
    const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      walk(steps[event.key]);
      event.preventDefault();
    } else if (event.key === "Enter" || event.key === " ") {
      event.target.closest("li")?.click();
      event.preventDefault();
    }
  }

  /** Fills the list; `open` is called with the number of a sample that is chosen. */
  function start(open) {
    choose = open;
    options = fdif.page.samples.map(option);
    at("order").querySelector("[value=dice]").hidden = fdif.page.samples.every((one) => one.dice === null);
    at("filter").addEventListener("input", refresh);
    at("order").addEventListener("change", refresh);
    at("list").addEventListener("keydown", walkByKey);
    refresh();
  }

  return { start, mark, walk, swatch };
})();

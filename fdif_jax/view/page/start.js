"use strict";

/** Everything of the page; the scripts below, data.js and the volumes put their parts into it. */
const fdif = { volumes: {} };

/** The element with an id. */
fdif.at = (id) => document.getElementById(id);

/** An element with properties and children; text is text, never markup. */
fdif.make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

/** Runs a script of the page's folder: browsers let a page in a folder read nothing else. */
fdif.run = (file) => new Promise((resolve, reject) => {
  const script = fdif.make("script", { src: file });
  script.addEventListener("load", () => {
    script.remove();
    resolve();
  });
  script.addEventListener("error", () => reject(new Error(`${file} is missing: write the page again.`)));
  document.head.append(script);
});

/** A name that may be broken where a word in it begins with a capital. */
fdif.breakable = (name) => {
  const parts = name.split(/(?<=[a-z])(?=[A-Z])/);
  return parts.flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part]));
};

/** A Dice score as it is shown. */
fdif.score = (value) => value.toFixed(3);

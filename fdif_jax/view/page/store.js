"use strict";

/** The volumes of samples: loaded when they are asked for, and made ready to be drawn. */
fdif.store = (() => {
  const KEPT = 6; // samples whose texts stay in memory
  const UINT8 = 2; // NIfTI's code
  const recent = [];

  /** The texts of a sample, which a script holds. */
  async function load(index) {
    remember(index);
    if (!fdif.volumes[index]) await fdif.run(`volumes/${fdif.page.samples[index].file}.js`);
    return fdif.volumes[index];
  }

  function remember(index) {
    const others = recent.filter((one) => one !== index);
    recent.splice(0, recent.length, ...others, index);
    while (recent.length > KEPT) delete fdif.volumes[recent.shift()];
  }

  const read = (base64, name) => niivue.NVImage.loadFromBase64({ base64, name: `${name}.nii.gz` });

  /** A volume on another one's grid, with bytes of its own in it. */
  function like(other, bytes) {
    const made = other.clone();
    made.img = bytes;
    made.hdr.datatypeCode = UINT8;
    made.hdr.numBitsPerVoxel = 8;
    return made;
  }

  /** Nothing but black, for labels that come without an image. */
  function black(other) {
    const made = like(other, new Uint8Array(other.img.length));
    [made.cal_min, made.cal_max] = [0, 1];
    return made;
  }

  /** Where two label volumes differ: 1 missed, 2 added, 3 another class; and how many voxels. */
  function differences(reference, prediction) {
    const errors = [0, 0, 0, 0];
    const bytes = Uint8Array.from(prediction.img, (found, i) => {
      const wanted = reference.img[i];
      const kind = found === wanted ? 0 : found === 0 ? 1 : wanted === 0 ? 2 : 3;
      errors[kind] += 1;
      return kind;
    });
    return { over: like(prediction, bytes), errors };
  }

  /** What lies over the image: labels, a prediction, or where the two differ. */
  async function overlay(texts, task, shown) {
    const of = (kind) => (texts[kind].length ? read(texts[kind][task], kind) : null);
    if (shown !== "differences") return { over: await of(shown), errors: null };
    return differences(await of("labels"), await of("predictions"));
  }

  /** What is drawn: `below` the image, or nothing but black, `over` it labels, and their `errors`. */
  async function open({ index, channel, task, shown }) {
    const texts = await load(index);
    const found = await overlay(texts, task, shown);
    const image = texts.images[Math.min(channel, texts.images.length - 1)];
    const below = image ? await read(image, "image") : black(found.over);
    return { below, ...found };
  }

  return { open };
})();

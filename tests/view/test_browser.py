"""Pages in a real browser: opened from the disk and served, scrolled, toggled, looked at."""

import json
import os
import shlex
from pathlib import Path

import chromium
import nibabel
import numpy as np
import PIL.Image
import pytest
import tiny_runs as t
import view_sets
from click.testing import CliRunner

from fdif_jax.cli import cli
from fdif_jax.infer.evaluate import Settings, evaluate
from fdif_jax.infer.pairing import pair_files
from fdif_jax.infer.report import overall
from fdif_jax.view.serve import address, server

pytestmark = pytest.mark.slow

PHONE = {"size": (390, 844), "phone": True}
RENDERED = (
    "generate --preset paper --D 64 --H 64 --W 64 --num_samples 5 --num_val_samples 3 "
    "--min_objects 5 --max_objects 8 --seed 3 --out_dir data --quiet"
)
TRAINED = (
    "train --data_json_path blobs/dataset.json --model_name primus_s "
    "--model_option hidden_size=24 depth=1 heads=1 --grid_size 8 8 16 "
    "--max_iterations 300 --learning_rate 1e-2 --log_every 10 --eval_every 50 "
    "--cache_dir cache --out_dir run --quiet"
)
MOVED = 2  # voxels, from which predictions differ from their references
SECONDS, MEGABYTES = 2.0, 50.0
CONTRAST = 4.5  # of WCAG 2, level AA


def fdif(line):
    words = shlex.split(line)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["fdif", *words])  # which a run keeps
        result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a rendered data set, predictions for it, and pages of both."""
    root, before = tmp_path_factory.mktemp("pages"), Path.cwd()
    os.chdir(root)
    try:
        fdif(RENDERED)
        view_sets.predictions(root / "predictions", root / "data/data/data.json", shift=MOVED)
        fdif("view data --out_dir set --quiet")
        fdif("view predictions --reference data --out_dir compared --quiet")
        yield root
    finally:
        os.chdir(before)


@pytest.fixture
def pages(driver):
    made = chromium.Pages(driver)
    made.forget()
    return made


def differ(one, other, share=0.001):
    """Whether more than a share of the pixels differ, by more than the eye passes over."""
    return (np.abs(one - other).max(-1) > 16).mean() > share


def coloured(pixels):
    """The share of pixels that are not grey."""
    return (np.ptp(pixels, axis=-1) > 40).mean()


def test_a_page_opens_from_the_disk_and_asks_for_nothing_else(pages, place):
    pages.open(place / "set")
    assert pages.text("title") == "data"
    assert pages.text("about").startswith("8 samples")
    assert len(pages.driver.find_elements("css selector", "#list li")) == 8
    assert pages.axial().std() > 20
    assert pages.pixels("solid").std() > 20
    assert pages.complaints() == []
    assert pages.asked() <= {"file:", "data:", "blob:"}


def test_a_page_that_is_served_asks_this_machine_alone(pages, place):
    import threading

    with server(place / "set", 0) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            pages.open(address(made))
            assert pages.axial().std() > 20
            assert pages.complaints() == []
            assert pages.asked() <= {"http:127.0.0.1", "data:", "blob:"}
        finally:
            made.shutdown()
            thread.join()


def test_the_page_may_not_ask_another_machine(pages, place):
    pages.open(place / "set")
    told = pages.driver.execute_async_script(
        "const tell = arguments[0];"
        "fetch('https://a.example/').then(() => tell('answered'), () => tell('refused'))"
    )
    assert told == "refused"
    image = "Object.assign(new Image(), {src: 'http://a.example/b'})"
    pages.script(f"document.body.append({image})")
    assert set(pages.refused()) == {"csp"}
    assert any("Content Security Policy" in text for text in pages.complaints())


def test_the_wheel_goes_through_a_plane(pages, place):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    pages.open(place / "set")
    pages.slide("slice-axial", 30)
    before = pages.axial()
    planes = pages.at("planes")
    width, height = planes.size["width"], planes.size["height"]
    origin = ScrollOrigin.from_element(planes, -width // 4, -height // 4)  # from its middle
    ActionChains(pages.driver).scroll_from_origin(origin, 0, 300).perform()
    assert pages.at("slice-axial").get_attribute("value") != "30"
    assert differ(before, pages.axial(), 0.01)
    assert pages.at("slice-coronal").get_attribute("value") == pages.script(
        "return String(fdif.scene.voxel()[1])"
    )


def test_a_slider_moves_all_planes_and_says_where(pages, place):
    pages.open(place / "set")
    before = pages.axial()
    pages.slide("slice-axial", 5)
    assert differ(before, pages.axial(), 0.01)
    assert pages.script("return fdif.scene.voxel()[2]") == 5
    assert "6 of 64" in pages.text("slices")
    assert " mm · value " in pages.text("place")


def test_a_class_that_is_toggled_comes_and_goes(pages, place):
    pages.open(place / "set")
    plane, solid = pages.axial(), pages.pixels("solid")
    name = pages.text("place").split(" · ")[-1]  # of the class that the cross is in
    box = pages.driver.find_element("css selector", f"#rows label[title='{name}'] input")
    with pages.drawing():
        box.click()
    assert differ(plane, pages.axial(), 0.01)
    assert differ(solid, pages.pixels("solid"), 0.01)
    with pages.drawing():
        box.click()
    np.testing.assert_array_equal(pages.axial(), plane)
    with pages.drawing():
        pages.at("none").click()
    assert (pages.pixels("solid")[:-90].max(-1) > 40).mean() < 0.01  # black, above the cube
    assert coloured(plane) > 0.1
    assert coloured(pages.axial()) < 0.02  # grey, but for the cross
    with pages.drawing():
        pages.at("all").click()
    np.testing.assert_array_equal(pages.axial(), plane)


def test_colours_are_those_of_the_table(pages, place):
    """Where the cross is in a class, its opaque colour is in the plane; nowhere without it."""
    pages.open(place / "set")
    pages.slide("opacity", 1)
    sample = pages.script("return fdif.page.samples[0].counts[0].map(c => c[0])")
    classes = pages.script("return fdif.page.tasks[0].classes")
    seen = pages.pixels("planes").reshape(-1, 3)
    found = set(map(tuple, seen[np.ptp(seen, axis=-1) > 60].tolist()))
    wanted = [tuple(int(classes[str(i)][1][at : at + 2], 16) for at in (1, 3, 5)) for i in sample]
    near = [min(np.abs(np.subtract(own, one)).max() for one in found) for own in wanted]
    assert min(near) <= 8
    assert sum(distance <= 8 for distance in near) >= len(wanted) // 2


def test_many_classes_have_colours_and_the_background_none(pages, tmp_path):
    """The viewer looks colours up in two ways; each has its number of classes."""
    label = np.zeros((40, 20, 20), np.uint8)
    label[:20] = 1 + np.arange(20 * 20 * 20).reshape(20, 20, 20) // 80
    for classes in (60, 100):
        root = tmp_path / f"{classes}"
        t.save(root / "a_x.nii.gz", np.full(label.shape, 100, np.uint8))
        t.save(root / "a_y.nii.gz", np.where(label > classes, 0, label))
        fdif(f"view {root}/a_x.nii.gz --out_dir {root}/page --quiet")
        pages.open(root / "page")
        plane = pages.axial()
        assert coloured(plane[:, : plane.shape[1] // 2]) > 0.1
        assert coloured(plane[:, plane.shape[1] // 2 + 9 :]) < 0.02  # the cross
        assert (pages.pixels("solid").max(-1) < 40).mean() > 0.4


def test_opacity_zoom_and_contrast_do_and_undo(pages, place):
    pages.open(place / "set")
    before = pages.axial()
    for name, value in {"opacity": 0, "zoom": 3, "brightness": 0.5, "contrast": 1.5}.items():
        pages.slide(name, value)
        assert differ(before, pages.axial(), 0.01), name
        pages.at("reset").click()
        assert not differ(before, pages.axial()), name


def test_one_plane_can_take_all_the_room(pages, place):
    pages.open(place / "set")
    before = pages.pixels("views")
    for name in ("coronal", "solid"):
        pages.driver.find_element("css selector", f"[value={name}] + span").click()
        found = pages.pixels("views")
        assert differ(before, found, 0.05)
        before = found


def test_reference_prediction_and_differences_with_dice(pages, place):
    pages.open(place / "compared")
    seen = {"differences": pages.axial()}
    assert pages.script("return document.body.dataset.drawn").endswith(" differences")
    for shown in ("labels", "predictions"):
        with pages.drawing():
            pages.driver.find_element("css selector", f"[value={shown}] + span").click()
        seen[shown] = pages.axial()
    assert differ(seen["labels"], seen["predictions"], 0.01)
    assert differ(seen["labels"], seen["differences"], 0.01)
    pairs = pair_files(place / "predictions", place / "data")
    scores = evaluate(pairs.pairs, pairs.names, Settings())
    assert f"mean Dice {overall(scores).dice:.3f}" in pages.text("about")
    own = [row.dice for row in scores if row.case == pages.text("name") and row.reference_ml]
    shown = "return [...document.querySelectorAll('#rows td:last-child')].map(e => +e.textContent)"
    np.testing.assert_allclose(pages.script(shown), own, atol=0.00051)


def test_keys_walk_through_samples_and_voxels(pages, place):
    from selenium.webdriver.common.keys import Keys

    pages.open(place / "set")
    chosen = pages.driver.find_element("css selector", "#list [aria-selected=true]")
    with pages.drawing():
        chosen.send_keys(Keys.ARROW_DOWN)
    assert pages.text("name") == "sample_00001"
    assert pages.driver.current_url.endswith("#sample_00001")
    assert pages.driver.switch_to.active_element.get_attribute("aria-selected") == "true"
    with pages.drawing():
        pages.at("stage").send_keys("]")
    assert pages.text("name") == "sample_00002"
    x, y, z = pages.script("return fdif.scene.voxel()")
    pages.at("planes").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.ARROW_UP, Keys.PAGE_DOWN)
    assert pages.script("return fdif.scene.voxel()") == [x + 1, y + 2, z - 1]


def test_the_list_is_filtered_and_ordered(pages, place):
    from selenium.webdriver.common.keys import Keys

    pages.open(place / "compared")
    order = pages.at("order")
    order.find_element("css selector", "[value=dice]").click()
    listed = "return [...document.querySelectorAll('#list .name')].map(e => e.textContent)"
    dice = pages.script("return Object.fromEntries(fdif.page.samples.map(s => [s.id, s.dice]))")
    assert pages.script(listed) == sorted(dice, key=dice.get)
    pages.at("filter").send_keys("00006")
    assert pages.script(listed) == ["sample_00006"]
    assert pages.text("found") == "1 of 3 samples"
    with pages.drawing():
        pages.driver.find_element("css selector", "#list li").send_keys(Keys.ENTER)
    assert pages.text("name") == "sample_00006"


def test_right_is_right_and_the_front_is_up_whatever_the_order_of_the_file(pages, tmp_path):
    """A patient's left is on the left: a block there, in front, in files of either direction."""
    block = np.zeros((20, 20, 20), np.float32)
    block[2:8, 12:18, 2:18] = 100  # left, in front
    for name, turn in (("ras", [1, 1, 1]), ("lps", [-1, -1, 1])):
        affine = np.diag([*map(float, turn), 1.0])
        t.save(tmp_path / f"{name}.nii.gz", block[:: turn[0], :: turn[1]], affine)
        fdif(f"view {tmp_path}/{name}.nii.gz --out_dir {tmp_path}/{name} --quiet")
        bright = pages.open(tmp_path / name).axial().min(-1) > 150
        quarters = [
            half.mean() for rows in np.array_split(bright, 2) for half in np.array_split(rows, 2, 1)
        ]
        assert int(np.argmax(quarters)) == 0, name  # upper left
        assert sum(quarters[1:]) < 0.2 * quarters[0], name
    with PIL.Image.open(tmp_path / "lps/thumbnails/00000.jpg") as picture:
        small = np.asarray(picture.convert("L"))
    assert small[30, 30] > 200 > small[110, 110]


def test_names_that_mean_something_to_browsers_are_names(pages, tmp_path):
    names = ["<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>", "100%", "a#b"]
    names += ["'\"`${1}", "\u2028", "__proto__", "ä 日本 🦊"]
    listed = t.write_set(tmp_path / "d", training=len(names), validation=0, classes=4)
    record = json.loads(listed.read_text())
    for entry, name in zip(record["training"], names, strict=True):
        entry["id"] = name
    record["labels"] = {"0": "background", **{str(i): names[i] for i in (1, 2, 3)}}
    record["modality"] = {"0": names[0]}
    listed.write_text(json.dumps(record))
    fdif(f"view {listed} --out_dir {tmp_path}/page --quiet")
    pages.open(tmp_path / "page")
    for i, name in enumerate(names):
        with pages.drawing():
            pages.driver.find_elements("css selector", "#list li")[i].click()
        assert pages.text("name") == name
        pages.driver.refresh()  # the address says which sample it was
        pages.wait("document.body.dataset.drawn")
        assert pages.text("name") == name
    assert pages.complaints() == []
    assert pages.script("return document.querySelectorAll('[src=x], #list script').length") == 0


def test_each_of_three_hundred_classes_has_its_colour(pages, tmp_path):
    label = np.arange(2000).reshape(20, 10, 10) % 301
    t.save(tmp_path / "a_x.nii.gz", np.zeros(label.shape, np.uint8))
    t.save(tmp_path / "a_y.nii.gz", label.astype(np.uint16))
    fdif(f"view {tmp_path}/a_x.nii.gz --out_dir {tmp_path}/page --quiet")
    pages.open(tmp_path / "page")
    pages.slide("opacity", 1)
    classes = pages.script("return fdif.page.tasks[0].classes")
    for place in ((3, 3, 3), (17, 5, 9), (9, 9, 0)):
        pages.script("fdif.scene.goTo(arguments[0])", list(place))
        assert pages.text("place").endswith(f" class {label[place]}")
        seen = np.unique(pages.pixels("planes").reshape(-1, 3), axis=0)
        for i in set(label[:, :, place[2]].ravel().tolist()) - {0}:
            colour = [int(classes[str(i)][1][at : at + 2], 16) for at in (1, 3, 5)]
            assert np.abs(seen - colour).max(-1).min() <= 8, i


def test_the_tab_key_reaches_everything_and_one_sees_where(pages, place):
    pages.open(place / "compared")
    found = pages.tabbed()
    names = {name for name, _ in found}
    wanted = {"skip", "filter", "order", "planes", "slice-axial", "shown", "layout", "opacity"}
    assert wanted | {"zoom", "smooth", "reset", "all", "none"} <= names
    assert any(name.startswith("sample-") for name in names)
    assert [name for name, seen in found if not seen] == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out(pages, place, dark):
    for name in ("set", "compared"):
        found = pages.open(place / name, dark=dark).contrasts()
        assert len(found) > 20
        assert [told for told in found if told[0] < CONTRAST] == []


def test_nothing_moves_by_itself(pages, place):
    pages.open(place / "set")
    moving = (
        "return [...document.querySelectorAll('*')].filter(e => {"
        "const s = getComputedStyle(e);"
        "return s.animationName !== 'none' || s.transitionDuration !== '0s'"
        " || s.scrollBehavior !== 'auto'}).map(e => e.tagName)"
    )
    assert pages.script(moving) == []


def test_what_can_be_used_has_a_name(pages, place):
    pages.open(place / "compared")
    tree = pages.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    used = {"button", "slider", "checkbox", "radio", "combobox", "searchbox", "option", "image"}
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node.get("ignored") and node.get("role", {}).get("value") in used
    ]
    assert {role for role, _ in nodes} == used
    assert not [role for role, name in nodes if not name.strip()]
    images = {name.split(",")[0] for role, name in nodes if role == "image"}
    assert images == {"Axial", "Labels in three dimensions"}


@pytest.mark.parametrize("size", [{}, PHONE], ids=["1280", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["set", "compared"])
def test_nothing_is_wider_than_the_window(pages, place, name, dark, size):
    pages.open(place / name, dark=dark, **size)
    wide = pages.script(
        "const own = document.documentElement.clientWidth;"
        "return [...document.querySelectorAll('body *:not(#list *):not(.skip):not(.hidden)')]"
        ".filter(e => e.getBoundingClientRect().right > own + 1).map(e => e.outerHTML.slice(0, 99))"
    )
    assert wide == []
    ground = pages.script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark


def test_labels_alone_volumes_of_a_class_and_channels(pages, tmp_path):
    label = np.zeros((12, 14, 16), np.uint8)
    label[3:9, 3:9, 3:12] = 1
    t.save(tmp_path / "one/labels/a.nii.gz", label)
    t.save(tmp_path / "one/found/a.nii.gz", np.roll(label, 2, 0))
    one = tmp_path / "one"
    fdif(f"view {one}/found --reference {one}/labels --out_dir {tmp_path}/a --quiet")
    pages.open(tmp_path / "a")
    assert pages.axial().std() > 5
    view_sets.classification(tmp_path / "two")
    fdif(f"view {tmp_path}/two --out_dir {tmp_path}/b --quiet")
    pages.open(tmp_path / "b")
    assert pages.axial().std() > 20
    assert not pages.at("classes").is_displayed()
    assert "class 0" in pages.text("facts")
    view_sets.nnunet(tmp_path / "three", channels=2)
    image = nibabel.load(tmp_path / "three/imagesTr/case_0_0001.nii.gz")
    t.save(tmp_path / "three/imagesTr/case_0_0001.nii.gz", -image.get_fdata(), image.affine)
    fdif(f"view {tmp_path}/three --out_dir {tmp_path}/c --quiet")
    before = pages.open(tmp_path / "c").axial()
    with pages.drawing():
        pages.at("channel").find_element("css selector", "[value='1']").click()
    assert differ(before, pages.axial(), 0.01)
    assert pages.complaints() == []


def test_volumes_that_are_missing_are_told(pages, place, tmp_path):
    import shutil

    shutil.copytree(place / "set", tmp_path / "page")
    (tmp_path / "page/volumes/00000.js").unlink()
    pages.driver.get((tmp_path / "page/index.html").as_uri())
    with pytest.raises(AssertionError, match=r"volumes/00000\.js is missing"):
        pages.wait("document.body.dataset.drawn")


def test_without_webgl_there_are_still_samples_counts_and_scores(pages, place):
    code = {"source": "HTMLCanvasElement.prototype.getContext = () => null"}
    added = pages.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", code)
    try:
        pages.driver.get((place / "compared/index.html").as_uri())
        with pytest.raises(AssertionError, match="This browser draws no volumes"):
            pages.wait("false")
    finally:
        pages.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    pages.driver.find_elements("css selector", "#list li")[1].click()
    assert pages.text("name") == "sample_00006"
    assert len(pages.driver.find_elements("css selector", "#rows tr")) > 2
    assert pages.complaints() == []


def test_two_hundred_samples_open_in_two_seconds_and_fifty_megabytes(pages, place, tmp_path):
    """As large as the paper's, 20 objects in 96^3 voxels; the list may be used before it draws."""
    fdif(f"generate --preset paper --num_samples 4 --seed 0 --out_dir {tmp_path}/data --quiet")
    listed = tmp_path / "data/data/data.json"
    record = json.loads(listed.read_text())
    record["training"] = [record["training"][i % 4] | {"id": f"sample_{i:05d}"} for i in range(200)]
    listed.write_text(json.dumps(record))
    fdif(f"view {listed} --out_dir {tmp_path}/page --quiet")
    files = [file for file in (tmp_path / "page").rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1e6
    assert 40 < size < MEGABYTES
    seconds = []
    for _ in range(3):  # of a browser that other tests slow down, the best
        pages.open(tmp_path / "page")
        seconds.append(
            pages.script("return performance.getEntriesByName('listed')[0].startTime") / 1e3
        )
    assert len(pages.driver.find_elements("css selector", "#list li")) == 200
    assert min(seconds) < SECONDS, seconds


def test_a_run_shows_its_curves(pages, place):
    t.write_set(place / "blobs")
    fdif(TRAINED)
    fdif("view run --out_dir run_page --quiet")
    for look in ({}, {"dark": True, **PHONE}):
        pages.open(place / "run_page", **look)
        assert pages.script("return document.documentElement.scrollWidth") <= 1280
        assert len(pages.driver.find_elements("css selector", "figure svg")) >= 4
        assert [told for told in pages.contrasts() if told[0] < CONTRAST] == []
        assert pages.complaints() == []
        assert pages.asked() <= {"file:", "data:"}


def test_pictures_of_the_docs(pages, place, tmp_path):
    """FDIF_PICTURES=docs/view writes those that docs/view.md shows."""
    out = Path(os.environ.get("FDIF_PICTURES", tmp_path))
    if not (place / "run_page").exists():
        test_a_run_shows_its_curves(pages, place)
    looks = {
        "set_1280_light": ("set", {}),
        "set_phone_dark": ("set", {"dark": True, **PHONE}),
        "compared_1280_dark": ("compared", {"dark": True}),
        "compared_phone_light": ("compared", PHONE),
        "run_1280_light": ("run_page", {}),
    }
    for name, (page, look) in looks.items():
        data = pages.open(place / page, **look).picture(whole="phone" in look)
        (out / f"{name}.png").write_bytes(data)
        with PIL.Image.open(out / f"{name}.png") as picture:
            assert picture.size[0] == look.get("size", (1280, 860))[0]
            assert len(picture.convert("RGB").getcolors(2**24)) > 100

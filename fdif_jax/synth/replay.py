"""Scenes as records: from the parameters of a scene file to arrays, and back.

A record keeps the drawn numbers themselves, never ones derived from them, so a scene that was
sampled and written renders to the same bytes when it is read back.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from fdif_jax.grid import Grid
from fdif_jax.synth.catalog import Catalog, CustomPrimitive
from fdif_jax.synth.params import MAX_PARTS, MAX_SIDES, TAPERS, Scene, Shape
from fdif_jax.synth.render import distances_dense
from fdif_jax.synth.renderer import compiled_volume, jit, slots_for
from fdif_jax.synth.table import Primitive

Record = Mapping[str, Any]
Row = Primitive | CustomPrimitive
_RADIUS = {"star": "star_radius", "octahedron": "size"}


class SceneFile(Protocol):
    """What ``render_scene`` needs of a checked scene file."""

    @property
    def objects(self) -> Sequence[Record]:
        """In painting order."""

    @property
    def label_dtype(self) -> str:
        """Of the label volume."""

    @property
    def tasks(self) -> Sequence[str]:
        """Empty where the label has no task axis."""


def scene_from_records(
    records: Sequence[Record], catalog: Catalog, *, slots: int | None = None
) -> Scene:
    """Arrays of checked records (``io.scene`` checks them).

    Args:
      records: objects in painting order; ``class_id`` is an id, or a list with one per task.
      catalog: names are canonical.
      slots: room for objects, so that scenes of different length share one compiled program; as
        many as there are if omitted.
    """
    things = [_object(record, catalog) for record in records]
    empty = (things[0] if things else _nothing(catalog))._replace(parts=np.int32(0))
    things += [empty] * ((slots or len(things)) - len(things))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *things)


def _nothing(catalog: Catalog) -> Scene:
    """A unit sphere, for slots that stay empty."""
    sphere = {"primitive": catalog.primitive_rows[0].name, "params": {"radius": 1.0}}
    record = {"local_from_world": np.eye(3, 4), "displacement": None, "class_id": 0}
    return _object({**sphere, **record, "mapper": catalog.mapper_rows[0].name}, catalog)


def _object(record: Record, catalog: Catalog) -> Scene:
    union = "first" in record
    parts = [record["first"], record["second"]] if union else [record]
    shapes = [_shape(part, catalog) for part in parts] + [_blank(catalog)] * (MAX_PARTS - 1)
    second = record["second_local_from_union"] if union else np.eye(3, 4)
    return Scene(
        shape=Shape(*(np.stack(field) for field in zip(*shapes[:MAX_PARTS], strict=True))),
        local_from_world=np.asarray(record["local_from_world"], np.float32),
        second_from_first=np.asarray(second, np.float32),
        parts=np.int32(len(parts)),
        k=np.float32(record["k"] if union else 1.0),
        displacement=np.int32(list(catalog.displacements).index(record["displacement"] or "none")),
        mapper=np.int32(list(catalog.mappers).index(record["mapper"])),
        label=np.atleast_1d(np.asarray(record["class_id"], np.int32)),
    )


def records_from_scene(
    scene: Scene, names: Sequence[Sequence[str]], catalog: Catalog, *, task_list: bool
) -> list[dict[str, Any]]:
    """The inverse of ``scene_from_records``, in plain JSON values.

    Args:
      scene: arrays of one volume.
      names: for each object the canonical names of its solids.
      catalog: the one the scene was drawn from.
      task_list: whether ``class_id`` is a list with one id per task.
    """
    shape = Shape(*map(np.asarray, scene.shape))
    displacements, mappers = tuple(catalog.displacements), tuple(catalog.mappers)
    records: list[dict[str, Any]] = []
    for i in range(int(np.sum(np.asarray(scene.parts) > 0))):
        parts: list[dict[str, Any]] = [
            {"primitive": name, "params": _params(catalog.primitives[name], shape, (i, j))}
            for j, name in enumerate(names[i])
        ]
        record: dict[str, Any] = parts[0]
        if len(parts) > 1:
            record = {
                "first": parts[0],
                "second": parts[1],
                "k": float(scene.k[i]),
                "second_local_from_union": np.asarray(scene.second_from_first[i]).tolist(),
            }
        record["local_from_world"] = np.asarray(scene.local_from_world[i]).tolist()
        name = displacements[int(scene.displacement[i])]
        record["displacement"] = None if name == "none" else name
        record["mapper"] = mappers[int(scene.mapper[i])]
        ids = np.asarray(scene.label[i]).tolist()
        record["class_id"] = ids if task_list else ids[0]
        records.append(record)
    return records


def render_scene(
    scene: SceneFile, size: tuple[int, int, int], catalog: Catalog, *, sdf: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Image, label and, on request, every object's distance field (objects, D, H, W).

    A scene that was saved with a sample gives that sample's voxels again.

    Args:
      scene: as checked by ``io.scene``.
      size: (D, H, W).
      catalog: which its names refer to.
      sdf: whether to give the fields, displacement included, float32.
    """
    grid = Grid.voxels(size)
    arrays = scene_from_records(scene.objects, catalog, slots=slots_for(len(scene.objects)))
    dtype = np.dtype(scene.label_dtype)
    program = compiled_volume(catalog, grid, dtype, task_axis=bool(scene.tasks))
    image, label = jax.device_get(program(arrays))
    if not sdf:
        return image, label, None
    field = jit(lambda thing: distances_dense(catalog, grid, thing))
    one = lambda i: jax.tree.map(lambda leaf: leaf[i : i + 1], arrays)  # noqa: E731
    fields = [np.asarray(field(one(i)))[0] for i in range(len(scene.objects))]
    return image, label, np.stack(fields)


def _blank(catalog: Catalog) -> Shape:
    """A sphere of radius 1: harmless in every field."""
    one = np.float32(1.0)
    return Shape(
        program=np.int32(0),
        radius=one,
        offset=one,
        half_height=one,
        taper=np.int32(0),
        second_scale=one,
        neck=np.float32(0.0),
        points=np.float32(5.0),
        pointiness=np.float32(0.5),
        vertices=np.ones((MAX_SIDES, 2), np.float32),
        onion_ratio=np.float32(0.0),
        custom=np.zeros(catalog.custom_width, np.float32),
    )


def _fields(row: Row) -> dict[str, tuple[str, float]]:
    """Scalar field of ``Shape`` to (parameter of the record, factor from record to field)."""
    if isinstance(row, CustomPrimitive):
        return {}
    fields = {"half_height": ("height", 0.5) if row.solid == "cone" else ("h", 1.0)}
    if row.solid == "revolution":
        fields["offset"] = ("distance" if row.category == "revolution" else "R", 1.0)
    if row.profile == "circle" and row.solid == "revolution":
        fields["radius"] = ("r", 1.0)
    else:
        named = _RADIUS.get(row.profile) or _RADIUS.get(row.solid) or "radius"
        fields["radius"] = (named, 1.0)
    fields |= {"points": ("star_n", 1.0), "pointiness": ("star_w", 1.0)}
    fields |= {name: (name, 1.0) for name in ("second_scale", "neck", "onion_ratio")}
    return {field: source for field, source in fields.items() if source[0] in row.params}


def _shape(part: Record, catalog: Catalog) -> Shape:
    row, params = catalog.primitives[part["primitive"]], part["params"]
    shape = _blank(catalog)._replace(program=np.int32(catalog.programs.index(row.program)))
    if isinstance(row, CustomPrimitive):
        custom = np.zeros(catalog.custom_width, np.float32)
        custom[: len(row.params)] = [params[name] for name in row.params]
        return shape._replace(custom=custom)
    values: dict[str, Any] = {
        field: np.float32(params[name]) * np.float32(factor)
        for field, (name, factor) in _fields(row).items()
    }
    if "vertices" in row.params:
        vertices = np.asarray(params["vertices"], np.float32)
        padding = np.repeat(vertices[:1], MAX_SIDES - len(vertices), axis=0)
        values["vertices"] = np.concatenate([vertices, padding])
        values["points"] = np.float32(len(vertices))
    kind = row.taper if row.taper in TAPERS else "kneed"
    return shape._replace(taper=np.int32(TAPERS.index(kind)), **values)


def _params(row: Row, shape: Shape, at: tuple[int, int]) -> dict[str, Any]:
    if isinstance(row, CustomPrimitive):
        return {name: float(shape.custom[(*at, i)]) for i, name in enumerate(row.params)}
    params: dict[str, Any] = {
        name: float(getattr(shape, field)[at]) / factor
        for field, (name, factor) in _fields(row).items()
    }
    if "star_n" in params:
        params["star_n"] = int(params["star_n"])
    if "vertices" in row.params:
        params["vertices"] = shape.vertices[at][: row.sides].tolist()
    return params

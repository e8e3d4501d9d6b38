"""Refusals of input sizes and channels, before anything is computed."""

from jax import Array

from fdif_jax.errors import InputError


def check_input(x: Array, channels: int, network: str) -> None:
    """Refuses what is not (B, D, H, W, ``channels``).

    Raises:
      InputError: another number of axes or channels.
    """
    if x.ndim != 5:
        raise InputError(f"{network} takes (batch, D, H, W, channels), got shape {x.shape}.")
    if x.shape[-1] != channels:
        raise InputError(
            f"{network} was built for {channels} input channel(s), got {x.shape[-1]} "
            f"(shape {x.shape}, channels last)."
        )


def check_multiple(size: tuple[int, ...], multiple: tuple[int, ...] | int, network: str) -> None:
    """Refuses sizes that are not a positive multiple, per axis.

    Raises:
      InputError: naming the nearest size that fits.
    """
    factors = (multiple,) * 3 if isinstance(multiple, int) else tuple(multiple)
    if all(n > 0 and n % m == 0 for n, m in zip(size, factors, strict=True)):
        return
    rule = str(factors[0]) if len(set(factors)) == 1 else "x".join(map(str, factors))
    near = "x".join(str(max(m, round(n / m) * m)) for n, m in zip(size, factors, strict=True))
    given = "x".join(map(str, size))
    raise InputError(
        f"{network} takes sizes that are multiples of {rule}, got {given}; the nearest is {near}."
    )


def check_exact(size: tuple[int, ...], image_size: tuple[int, ...], network: str) -> None:
    """Refuses any size but the one that the position embeddings were built for.

    Raises:
      InputError: naming the size and the way to change it.
    """
    if tuple(size) != tuple(image_size):
        built, given = ("x".join(map(str, s)) for s in (image_size, size))
        raise InputError(
            f"this {network} was built for {built} voxels, got {given}; "
            f"call resize_position_embeddings({tuple(size)}) to change it."
        )

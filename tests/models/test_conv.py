"""All forms of a convolution give the same numbers, gradients too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fdif_jax.models import conv as c

slow = pytest.mark.slow

# Sums of up to 3000 products in another order, relative to the largest value.
TOLERANCE = 1e-5


def close(found, wanted):
    scale = float(jnp.abs(wanted).max()) + 1e-30
    found, wanted = np.asarray(found), np.asarray(wanted)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE * scale)


def tensors(size, kernel, i, o, batch=2):
    keys = jax.random.split(jax.random.key(0))
    x = jax.random.normal(keys[0], (batch, *size, i))
    return x, jax.random.normal(keys[1], (*kernel, i, o))


CASES = [
    pytest.param((8, 6, 10), (3, 3, 3), 6, 5, id="small", marks=slow),
    pytest.param((24, 22, 20), (3, 3, 3), 8, 6, id="several-slabs"),
    pytest.param((16, 12, 14), (5, 5, 5), 5, 14, id="five", marks=slow),
    pytest.param((16, 12, 14), (1, 3, 3), 6, 7, id="flat-kernel", marks=slow),
    pytest.param((12, 16, 16), (3, 1, 3), 6, 7, id="flat-in-plane", marks=slow),
    pytest.param((12, 14, 16), (3, 3, 3), 1, 8, id="one-channel"),
    pytest.param((6, 1, 13), (5, 5, 5), 6, 7, id="kernel-beyond-the-volume", marks=slow),
]


def both(form, x, kernel):
    """Value and both gradients of a scalar that weighs every output differently."""

    def scalar(x, kernel):
        y = form(x, kernel)
        weights = jnp.cos(jnp.arange(y.size, dtype=jnp.float32).reshape(y.shape))
        return (y.astype(jnp.float32) * weights).sum(), y

    step = jax.jit(jax.value_and_grad(scalar, argnums=(0, 1), has_aux=True))
    (_, y), grads = step(x, kernel)
    return y, *grads


@pytest.mark.parametrize(("size", "kernel", "i", "o"), CASES)
def test_conv_equals_native(size, kernel, i, o, monkeypatch):
    monkeypatch.setattr(c.winograd, "_ROWS", 1024)  # several slabs at these sizes
    monkeypatch.setattr(c.winograd, "_GRADIENT_ROWS", 1024)
    monkeypatch.setattr(c, "_SHIFTED_ROWS", 1024)
    x, k = tensors(size, kernel, i, o)
    for found, wanted in zip(both(c.conv, x, k), both(c.native, x, k), strict=True):
        close(found, wanted)


@pytest.mark.parametrize(("size", "kernel", "i", "o"), CASES)
def test_kernel_gradient_forms_agree(size, kernel, i, o):
    x, _ = tensors(size, kernel, i, o)
    grad = jnp.cos(jnp.arange(2 * np.prod(size) * o, dtype=jnp.float32)).reshape(2, *size, o)
    wanted = c._native_kernel_gradient(x, grad, kernel)
    close(c.winograd.kernel_gradient(x, grad, kernel), wanted)
    close(c.kernel_gradient_by_shifts(x, grad, kernel), wanted)
    close(c.kernel_gradient_by_columns(x, grad, kernel), wanted)


@pytest.mark.parametrize(("size", "kernel", "i", "o"), CASES)
def test_input_gradient_forms_agree(size, kernel, i, o):
    _, k = tensors(size, kernel, i, o)
    grad = jnp.cos(jnp.arange(2 * np.prod(size) * o, dtype=jnp.float32)).reshape(2, *size, o)
    wanted = c.native(grad, c.mirrored(k))
    close(c.winograd.input_gradient(grad, k), wanted)
    close(c.input_gradient_by_columns(grad, k), wanted)
    close(c.by_folded_taps(grad, c.mirrored(k)), wanted)


@pytest.mark.parametrize("kernel", [(3, 3, 3), pytest.param((5, 5, 5), marks=slow)])
def test_tiny_volumes_equal_native(kernel):
    x, k = tensors((3, 2, 4), kernel, 6, 7)
    assert x[..., 0].size <= c._TINY_VOXELS
    for found, wanted in zip(both(c.conv, x, k), both(c.native, x, k), strict=True):
        close(found, wanted)


@pytest.mark.parametrize(
    ("stride", "kernel"),
    [
        ((2, 2, 2), (3, 3, 3)),
        pytest.param((1, 2, 2), (1, 3, 3), marks=slow),
        pytest.param((2, 1, 1), (3, 3, 3), marks=slow),
    ],
)
def test_strided_conv_equals_native(stride, kernel):
    x, k = tensors((8, 12, 10), kernel, 5, 6)
    ours = both(lambda x, k: c.conv(x, k, stride), x, k)
    for found, wanted in zip(ours, both(lambda x, k: c.native(x, k, stride), x, k), strict=True):
        close(found, wanted)


@pytest.mark.parametrize("kernel", [pytest.param((2, 2, 2), marks=slow), (4, 2, 8)])
def test_patch_conv_forms_agree(kernel):
    x, k = tensors((8, 8, 16), kernel, 5, 6)
    native = lambda x, k: jax.lax.conv_general_dilated(  # noqa: E731
        x, k, kernel, "VALID", dimension_numbers=("NDHWC", "DHWIO", "NDHWC")
    )
    for found, wanted in zip(both(c.patch_conv, x, k), both(native, x, k), strict=True):
        close(found, wanted)


@pytest.mark.parametrize("kernel", [pytest.param((2, 2, 2), marks=slow), (1, 2, 2)])
def test_patch_conv_transpose_forms_agree(kernel):
    x, k = tensors((4, 3, 5), kernel, 5, 6)
    ours = both(c.patch_conv_transpose, x, k)
    for found, wanted in zip(ours, both(c.patch_conv_transpose_native, x, k), strict=True):
        close(found, wanted)


def test_pointwise_conv_equals_native():
    x, k = tensors((4, 3, 5), (1, 1, 1), 5, 6)
    for found, wanted in zip(both(c.conv, x, k), both(c.native, x, k), strict=True):
        close(found, wanted)


def test_bfloat16_stays_and_is_near():
    x, k = tensors((12, 12, 12), (3, 3, 3), 8, 8)
    found = both(c.conv, x.astype(jnp.bfloat16), k.astype(jnp.bfloat16))
    assert {a.dtype for a in found} == {jnp.dtype("bfloat16")}
    for a, b in zip(found, both(c.native, x, k), strict=True):
        scale = float(jnp.abs(b).max())
        assert float(jnp.abs(a.astype(jnp.float32) - b).max()) < 0.03 * scale


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_the_form_is_chosen_at_lowering(platform):
    """Other platforms keep XLA's 3-D convolution; a CPU program holds none."""
    x, k = tensors((16, 16, 16), (3, 3, 3), 8, 8)
    step = jax.jit(jax.grad(lambda x, k: c.conv(x, k).sum(), argnums=(0, 1)))
    text = step.trace(x, k).lower(lowering_platforms=(platform,)).as_text()
    volumes = text.count("[b, 0, 1, 2, f]x[")
    assert (volumes == 0) == (platform == "cpu")

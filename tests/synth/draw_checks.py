"""Is a sample drawn from what it should be? All draws have fixed keys, so the answer is fixed."""

import functools

import jax
import numpy as np
from scipy import stats

# Draws run once: a program that compiles fast is worth more than one that runs fast.
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

UNLIKELY = 1e-6
"""Some thousand comparisons are made; a right one fails with this probability."""


def assert_uniform(values, low, high, what=""):
    """Bounds, mean and spread: Kolmogorov's distance to the uniform distribution.

    Both bounds are also come near to: n draws leave a gap of 16 / n with probability exp(-16).
    """
    values = np.asarray(values, np.float64).ravel()
    gap = 16 / len(values) * (high - low)
    assert values.min() <= low + gap, (what, values.min(), low)
    assert values.max() >= high - gap, (what, values.max(), high)
    slack = 1e-5 * max(abs(low), abs(high))
    assert low - slack <= values.min(), (what, values.min(), low)
    assert values.max() <= high + slack, (what, values.max(), high)
    result = stats.kstest(values, "uniform", args=(low, high - low))
    assert result.pvalue > UNLIKELY, (what, result)


def assert_same_distribution(values, others, what=""):
    result = stats.ks_2samp(np.asarray(values, np.float64).ravel(), np.asarray(others).ravel())
    assert result.pvalue > UNLIKELY, (what, result)


def assert_equally_often(values, options, what=""):
    """Chi-square over the counts of each option; nothing else may occur."""
    values = np.asarray(values).ravel()
    counts = np.asarray([np.sum(values == option) for option in options])
    assert counts.sum() == len(values), (what, set(np.unique(values)) - set(options))
    if len(counts) > 1:
        assert stats.chisquare(counts).pvalue > UNLIKELY, (what, counts)


def assert_unrelated(columns, what=""):
    """No pair of columns is correlated beyond 5 sigma."""
    columns = np.asarray(columns, np.float64)
    related = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(related).max() < 5 / np.sqrt(columns.shape[1]), (what, related)


def assert_independent(first, second, what=""):
    """Chi-square over the table of pairs."""
    pairs = stats.contingency.crosstab(np.ravel(first), np.ravel(second)).count
    assert stats.chi2_contingency(pairs).pvalue > UNLIKELY, (what, pairs)

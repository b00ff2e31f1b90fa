"""The section of the page on differential equations, from what odes.py measured."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from environments import HERE
from ode_contenders import LEARNERS, PROBLEMS, SLOW, SOLVERS
from ode_tables import COST_HEADINGS, SPIRAL_HEADINGS, Cost, cost_cells, spiral_cells, summarise, table

SECTION = """\
## Solving differential equations

`python benchmarks/odes.py` on {date}, commit {commit}: {processor}, {cores} cores; {versions}.

### What the solver costs beside f

{costs}

{standing}

`f alone` is an evaluation of the contender's own f (forward), or of f and its vector-Jacobian product for z and all
parameters (adjoint), called again and again in the contender's own loop. `solver` is the time of a solve divided by the
evaluations in it; for the adjoint, that of a solve forward and backward less that of a solve forward, divided by the
evaluations backward. Of a process the quickest of each counts. `ratio` is one by the other, the median over the
processes ({rounds}), with the least and the most beside it. It is below 1 where the solver does not ask for all of the
product at each stage. `evaluations` are calls of f, counted by a counter in f in a run that is not timed;
`whole solve` is forward, or forward and backward.

- Both problems are float32, solved by dopri5, with the same weights, states and tolerances, and, backward, an error
  norm without the parameters.
{problems}
- gradcam runs in a `tf.function`, that of the tiny f compiled by XLA; the convolutional f is the package's own.
  `gradcam, XLA` compiles its solve forward; backward that does not pay.
- torchdiffeq runs eagerly, channels first (last is no faster), on one thread for the tiny f (more make it slower),
  on all for the other; `f compiled` puts f through `torch.compile`.
- diffrax is compiled by JAX, with `BacksolveAdjoint`, channels last. XLA is very slow at the gradient of a
  convolution's kernel on a processor, so that f brings its own, some thirty times as fast.
- `error` is how far z(t1), or the gradient of the parameters, is from what the contender finds at close tolerances
  itself. There all agree with gradcam: {agreement} (relative, at most).

### The spiral

{spiral}

{pace}

Each way learns dz/dt = z³A with the same network from the same starting weights and batches, by RMSprop, from
each of some seeds ({seeds}); {few}. `seconds` is all of it, with tracing and compiling, `ms` an iteration without;
`evaluations` are torchdiffeq's calls of f in an iteration. `fit` is the mean absolute difference over the whole
trajectory, by one solver for all: the median over the seeds and the last ten weights that were kept, after each 20
iterations, with the least and the most beside it. After 40 iterations no weight is further from gradcam's than {apart}
of the largest one. Then rounding parts them: the loss has kinks, so that the fits differ by chance.

### Agreement with torchdiffeq

The test `{test}` compares values and gradients of a small convolutional f at close tolerances: {outcome}.{not_run}"""


def odes() -> str:
    """Return the section, if odes.py was run."""
    path = HERE / "odes.json"
    return section(json.loads(path.read_text())) if path.is_file() else ""


def section(results: dict[str, Any]) -> str:
    """Return the section in Markdown."""
    setting, machine = results["setting"], results["machine"]
    rows = summarise(results["costs"], results["agreement"])
    spirals = results["spiral"]
    return SECTION.format(
        date=machine["date"],
        commit=machine["commit"] or "unknown",
        processor=machine["processor"],
        cores=machine["cores"],
        versions=", ".join(f"{name} {version}" for name, version in results["versions"].items()),
        costs=table(COST_HEADINGS, 3, map(cost_cells, rows)),
        standing=standing(rows),
        rounds=setting["rounds"],
        problems=problems(results["costs"]),
        agreement=agreement(results["agreement"]),
        spiral=table(SPIRAL_HEADINGS, 1, spiral_cells(spirals)),
        pace=pace(spirals),
        seeds=setting["seeds"],
        few=f"{', '.join(SLOW)}, only for {setting['few']:,} iterations",
        apart=f"{max((run['apart'] for run in spirals), default=0):.0e}",
        test=results["test"]["name"].rpartition("::")[2],
        outcome=results["test"]["outcome"],
        not_run=not_run(results["not_run"]),
    )


def standing(rows: list[Cost]) -> str:
    """Say where gradcam is ahead, by ratio and by time an evaluation."""
    ours = {(row.problem, row.way): row for row in rows if row.contender == SOLVERS[0].name}
    sentences = []
    for solver in [solver for solver in SOLVERS if not solver.name.startswith(SOLVERS[0].name)]:
        theirs = [row for row in rows if row.contender == solver.name and (row.problem, row.way) in ours]
        pairs = [(row, ours[row.problem, row.way]) for row in theirs]
        if pairs:
            ratio = [f"{row.problem} {row.way}" for row, mine in pairs if mine.ratio < row.ratio]
            time = [f"{row.problem} {row.way}" for row, mine in pairs if mine.solver < row.solver]
            sentences.append(
                f"gradcam is ahead of {solver.name} by ratio in {_all(ratio, pairs)}, by time an evaluation in "
                f"{_all(time, pairs)}."
            )
    return "\n".join(sentences)


def _all(some: list[str], pairs: list[Any]) -> str:
    if len(some) == len(pairs):
        return f"all {len(some)} rows"
    return f"{len(some)} of {len(pairs)} rows" + (f" ({', '.join(some)})" if some else "")


def problems(costs: list[dict[str, Any]]) -> str:
    """Say what is solved."""
    words = {"tiny": "a 2-50-2 tanh network", "convolutional": "norm, ReLU, convolution, twice, and a norm"}
    first = {run["problem"]: run for run in reversed(costs)}
    return "\n".join(
        f"- `{name}`: {words[name]}, z {' x '.join(map(str, run['shape']))}, t from 0 to {run['t1']:g}, "
        f"rtol {run['rtol']:g}, atol {run['atol']:g}; `close` is {run['close']:g} for both."
        for name, run in sorted(first.items(), key=lambda item: PROBLEMS.index(item[0]))
    )


def agreement(rows: list[dict[str, Any]]) -> str:
    """Return how far the answers are apart, at most, for each problem."""
    parts = []
    for problem in PROBLEMS:
        some = [row["apart"] for row in rows if row["problem"] == problem]
        if some:
            most = {key: max(row.get(key, 0) for row in some) for key in some[0]}
            parts.append(
                f"`{problem}`, f within {most['f']:.0e}, z(t1) {most['z1']:.0e}, the gradients of z0 and theta "
                f"{most['of_z0']:.0e} and {most['of_theta']:.0e}"
            )
    return "; ".join(parts) or "nothing to compare"


def pace(runs: list[dict[str, Any]]) -> str:
    """Say how long gradcam learns beside the other ways, in the same run."""
    mine, *others = LEARNERS
    seconds = {x.name: [r["seconds"] / r["iterations"] for r in runs if r["learner"] == x.name] for x in LEARNERS}
    return "\n".join(
        f"With all that is compiled, {mine.name} takes {median(seconds[mine.name]) / median(seconds[other.name]):.2f} "
        f"of the time of {other.name}{' for as many iterations' if other.name in SLOW else ''}."
        for other in others
        if seconds[mine.name] and seconds[other.name]
    )


def not_run(reasons: dict[str, str]) -> str:
    """Return the list of what could not be run, and why."""
    if not reasons:
        return ""
    return "\n\nNot run:\n\n" + "\n".join(f"- {name}: `{why}`" for name, why in reasons.items())

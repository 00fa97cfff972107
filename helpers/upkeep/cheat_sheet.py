r"""The cheat sheet, ``notebooks/CHEAT_SHEET.md``: formulas, and the course's nets in numbers."""

from collections.abc import Callable

from torch import nn

from helpers.markdown import Table
from helpers.models import count_parameters, small
from helpers.models.residual import ResidualNet
from helpers.receptive_field.table import receptive_field_table

DIGIT = (1, 28, 28)

# The nets of the course on digits, by what a reader knows them as.
NETS: dict[str, Callable[[], nn.Module]] = {
    "01: the first net": small.first_net,
    "01: the starter of report 001": small.starter_net,
    "02: the net of report 001": small.budget_net,
    "04: rungs 1 and 2": small.basic_net,
    "04: rungs 3 to 9": small.early_pool_net,
    "04: the net of report 003": small.compact_net,
    "04: the net of report 004": small.PointwiseNet,
    "06: the residual net of report 000": ResidualNet,
}

FORMULAS = r"""# Cheat sheet

One page of what the course calculates. Written by `python -m helpers results`. A letter means one
thing in its row, and may mean another elsewhere.

## Shapes, parameters, work

A window of $k \times k$ has stride $s$, padding $p$ and dilation $d$, and leads from $c_{in}$ to
$c_{out}$ channels.

| what | formula |
|---|---|
| size behind the window | $\lfloor (n + 2p - d(k-1) - 1) / s \rfloor + 1$ |
| parameters of a convolution with bias | $(k^2 c_{in} + 1)\,c_{out}$ |
| weights of a separable convolution | $k^2 c_{in} + c_{in} c_{out}$, not $k^2 c_{in} c_{out}$ |
| parameters of a batch normalisation | $2c$, and as many running numbers that are not trained |
| multiplications of a convolution | its weights, times rows and columns of its output |

## Receptive fields

Layer by layer, with the jump $j$ as it was before the layer:

| what | formula |
|---|---|
| field, begins at 1 | $r \leftarrow r + d(k-1)\,j$ |
| centre of the first, begins at 0.5 | $c \leftarrow c + (\frac{d(k-1)}{2} - p)\,j$ |
| jump, begins at 1 | $j \leftarrow j\,s$ |

## Training

| what | formula |
|---|---|
| softmax, cross-entropy | $p_c = e^{z_c} / \sum_j e^{z_j}$, $\ell = -\log p_{true}$ |
| momentum | $v \leftarrow \mu v + g$, $w \leftarrow w - \eta v$ |
| Nesterov's momentum | $v \leftarrow \mu v + g$, $w \leftarrow w - \eta\,(g + \mu v)$ |
| AdamW | $w \leftarrow w - \eta\,\hat m / (\sqrt{\hat v} + \epsilon)$: means of $g$ and of $g^2$ |
| weight decay | AdamW also takes $\eta\lambda w$ from $w$; SGD adds $\lambda w$ to $g$ |
| StepLR | $\eta = \eta_0\,\gamma^{\lfloor epoch / size \rfloor}$ |
| one-cycle | linear up to the peak, then linear down, as a rule to almost nothing |
| averaged weights | $\bar w \leftarrow d\,\bar w + (1 - d)\,w$ |
| its factor after step $t$ | $d = \min(0.999, \frac{1+t}{10+t})$ |
| batch normalisation | $\gamma\,(x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$, for each channel |
| He's rule | $\mathrm{Var}(w) = 2 / n$, with $n = k^2 c_{in}$ |

## Speed

| what | formula |
|---|---|
| work of a training step | three times that forward; a first layer needs one pass less |
| least time of a layer | the larger one of operations / their rate and bytes / their rate |
| a share $p$ of the time made free | at most $1 / (1 - p)$ times as fast (Amdahl) |
| whitening | filters $u_i / \sqrt{v_i + \epsilon}$: axes $u_i$, their variances $v_i$ |
| Muon | of the momentum $U S V^\top$ only $U V^\top$; each kernel at length $\sqrt{out}$ |
| several devices | the mean of the shards' gradients; a shard is normalised by itself |

## How sure

The factor $t$ is `stats.t.ppf(0.975, degrees)`; of two recipes $s$ is the pooled deviation.

| question | answer, and the degrees of freedom |
|---|---|
| the mean of $n$ seeds | $\bar a \pm t\,s / \sqrt n$, $n - 1$ |
| two recipes | $\bar a_1 - \bar a_2 \pm t\,s\sqrt{1/n_1 + 1/n_2}$, $n_1 + n_2 - 2$ |
| one more training | $\bar a \pm t\,s\sqrt{1 + 1/n}$, $n - 1$ |
| a share of $n$ images or trainings | Wilson's interval, `helpers.intervals.wilson` |
| a share $p$ of $n$ images | standard error $\sqrt{p(1-p)/n}$; of a difference $\sqrt 2$ times it |
| calibration error | $\sum_b \frac{n_b}{n}\,\lvert accuracy_b - probability_b\rvert$ over bins |
| two nets on the same images | McNemar: count the images that only one of them reads |
| deviation of 60 mistakes in 10,000 | about $\sqrt{60} \approx 8$ mistakes, or 0.08 points |
"""


def cheat_sheet() -> str:
    """The whole page."""
    # The field is that of the last layer that has one: the logits, in most nets.
    rows = []
    for name, build in NETS.items():
        net = build()
        *_, last = receptive_field_table(net, DIGIT)
        rows.append((name, f"{count_parameters(net):,}", f"{last.rf} pixels"))
    table = Table(("net", "parameters", "field of a logit"), rows)
    return f"{FORMULAS}\n## The nets on digits\n\n{table.markdown()}\n"

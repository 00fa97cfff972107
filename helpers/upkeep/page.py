"""``notebooks/draw_a_digit.html``: a recorded net in a page of its own, which needs no network.

Texts, style and scripts lie in ``draw_a_digit/``, beside this file; what belongs to the net, its
weights and every number, is put in from its record.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn

from helpers.data.known import KNOWN
from helpers.environment import NOTEBOOKS, CourseError
from helpers.experiments import load_model, load_result
from helpers.experiments.records import Result
from helpers.models import count_parameters
from helpers.upkeep.page_layers import export
from helpers.writing import replacing

SHOWN = "ladder-fewer"  # the net that the page runs
PAGE = "draw_a_digit.html"
PARTS = Path(__file__).parent / "draw_a_digit"
LARGEST = 150_000  # bytes of the page


def write_page(name: str = SHOWN, folder: Path = NOTEBOOKS) -> list[Path]:
    """Write the page of a recorded net into ``folder``; returns the file, if it has changed.

    Raises ``CourseError`` where there is no record, one without weights, or one of a net that the
    page cannot run.
    """
    # All that can fail comes first: a page that is there stays as it is.
    path = folder / PAGE
    content = page_of(load_model(name), load_result(name)).encode()
    if path.exists() and path.read_bytes() == content:
        return []
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return [path]


def page_of(net: nn.Module, result: Result) -> str:
    """The text of the page: the same record gives the same bytes.

    net: the trained net of the record's first seed, in evaluation mode on the CPU
    """
    # Each place of the template is filled by a text.
    texts = numbers_of(net, result)
    texts["style"] = part("style.css")
    texts["net"] = net_script(net, strongest_logits(result))
    texts["script"] = part("drawing.js") + part("maps.js") + part("page.js")
    page = filled(part("page.html"), texts)

    # A page that takes long to load is not passed on to a friend.
    size = len(page.encode())
    if size > LARGEST:
        raise CourseError(
            f"the page of this net would have {size:,} bytes, more than {LARGEST:,}: "
            "take a net with fewer parameters"
        )
    return page


def net_script(net: nn.Module, strongest: list[float]) -> str:
    """The script that runs the net: layers, weights, and how MNIST is normalised are put in.

    strongest: what ``strongest_logits`` gives
    """
    exported = export(net)
    known = KNOWN["mnist"]
    data = {
        "layers": exported.layers,
        "stages": exported.stages,
        "mean": known.mean[0],
        "deviation": known.std[0],
        "strongest": strongest,
        "weights": base64.b64encode(exported.packed()).decode(),
    }
    return part("net.js").replace("NUMBERS_OF_THE_NET", as_script(data))


def part(name: str) -> str:
    """A file of the page, with the line ends that git keeps."""
    return (PARTS / name).read_text(encoding="utf-8")


def as_script(data: dict[str, Any]) -> str:
    """Data as JSON that may stand inside a script of a page."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # The only text that would end a script early.
    return text.replace("</", "<\\/")


def filled(template: str, texts: dict[str, str]) -> str:
    """The template with each ``{{name}}`` replaced; every name is used, and none is left."""
    # Only the template is looked through: what is put in may hold brackets of its own.
    pieces = template.split("{{")
    page = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        page.append(texts[name] + rest)
    return "".join(page)


def numbers_of(net: nn.Module, result: Result) -> dict[str, str]:
    """What the page's sentences state of the net, as texts by name."""
    # The weights are those of the first seed, and so its accuracy is the page's.
    accuracy = next(iter(result.accuracies.values()))
    tests = result.arrays["predictions"].shape[1]
    return {
        "parameters": f"{count_parameters(net):,}",
        "right": f"{round(accuracy / 100 * tests):,}",
        "tests": f"{tests:,}",
        "accuracy": result.accuracy,
        "provenance": result.provenance,
        "command": result.command,
    }


def strongest_logits(result: Result) -> list[float]:
    """What the strongest logit of a test digit is: the smallest, 99 percentiles, the largest.

    A drawing that excites the net less than nearly all test digits is no digit to it, however the
    probabilities are shared out: a low maximum of the logits is a sign of a foreign image
    (Hendrycks and others, Scaling out-of-distribution detection for real-world settings, 2022).
    """
    if "logits" not in result.arrays:
        name = result.record["name"]
        raise CourseError(f"the record {name} holds no logits, and only headline nets keep them")
    # The first run is that of the first seed, whose weights the page has.
    logits = torch.from_numpy(result.arrays["logits"][0].astype(numpy.float64))
    steps = torch.linspace(0, 1, 101, dtype=torch.float64)
    quantiles = logits.amax(dim=1).quantile(steps)
    return [round(value, 2) for value in quantiles.tolist()]

"""Formulas as MathML, which every browser of today draws by itself, without a network."""

import html
import importlib.util

# A comma inside a number, as in 5{,}958: TeX's way to say that no space follows it.
COMMA = ("{,}", r"\text{,}")


def mathml(tex: str, display: str = "inline") -> str:
    """A formula in TeX, such as ``k \\times k``, as a MathML element.

    ``display`` is "inline", or "block" for a line of its own. Where latex2mathml is not
    installed, or does not know a command, the TeX is shown as it is: a page with one formula
    that has to be spelled out is better than none.
    """
    try:
        from latex2mathml.converter import convert
    except ImportError:
        return as_code(tex)
    try:
        return convert(tex.strip().replace(*COMMA), display=display)
    except Exception:  # its errors have no common class but this one
        return as_code(tex)


def as_code(tex: str) -> str:
    """The TeX itself, in a form that is seen to be none of the text's own words."""
    return f'<code class="formula">{html.escape(tex.strip())}</code>'


def problem() -> str:
    """One line where formulas cannot be drawn; nothing where all is well."""
    if importlib.util.find_spec("latex2mathml") is None:
        return "formulas stand as TeX, for latex2mathml is not installed: pip install latex2mathml"
    return ""

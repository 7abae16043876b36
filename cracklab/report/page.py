"""A report as one HTML page that works without a network, and as Markdown."""

import base64
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from cracklab.report.content import Content, Picture
from cracklab.report.table import Table
from cracklab.tables import escaped, escaped_line
from cracklab.version import __version__

TEMPLATE = "page.html.jinja"


def html(content: Content) -> str:
    """Return the page; pictures, styles and the script that sorts tables are inline."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.tests["table"] = lambda item: isinstance(item, Table)
    environment.filters["source"] = source
    environment.filters["breakable"] = breakable
    text = files("cracklab.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(text).render(content=content, version=__version__)


def breakable(text: str) -> Markup:
    """Escape a text and allow line breaks after underscores, slashes and commas."""
    escaped = str(escape(text))
    for mark in ("_", "/", ","):
        escaped = escaped.replace(mark, f"{mark}<wbr>")
    return Markup(escaped)


def source(picture: Picture) -> str:
    """Return a picture as the source of an `img`: SVG if it has one, else PNG."""
    kind, data = ("svg+xml", picture.svg.encode()) if picture.svg else ("png", picture.png)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def markdown(content: Content) -> str:
    """Return the report for a README or an issue; pictures are links to the files in figures/."""
    lines = [f"# {escaped(content.title)}", escaped_line(content.subtitle) + "."]
    if content.missing:
        lines += [f"**{escaped(content.unfinished)}**", _list(content.missing)]
    lines += ["## In short", _list(content.summary)]
    if content.cautions:
        lines += ["To keep in mind:", _list(content.cautions)]
    for section in content.sections:
        lines.append(f"## {escaped(section.title)}")
        for item in section.items:
            if isinstance(item, Table):
                lines.append(item.markdown())
            else:
                alt = escaped(item.alt).replace("[", "\\[").replace("]", "\\]")
                picture = f"![{alt}](figures/{item.name}.png)"
                lines += [f"### {escaped(item.title)}", picture, escaped_line(item.note)]
    return "\n\n".join(lines) + "\n"


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escaped_line(line)}" for line in lines)

"""An exposure report as one page: nothing in it is fetched from anywhere, and every text in it is escaped.

Names come from tokens, reasons from people: all of it is hostile input, and nothing of it becomes markup.
"""

import html
from typing import TYPE_CHECKING

from . import report_words
from .report_picture import picture
from .terminal import visible

if TYPE_CHECKING:
    from audit.report_values import ExposureReport

    from .report_words import Section

CLOSED = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The page may load nothing and run nothing; its own style stands in it."""
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #1a1a1a }
h1 { font-size: 1.5rem; margin: 0 0 .2rem } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem }
p { margin: .2rem 0 } .incomplete { background: #fff1d6; border-left: 4px solid #c77700; padding: .3rem .6rem }
table { border-collapse: collapse; width: 100%; font-size: 13px; margin-top: .4rem }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #ddd;
  overflow-wrap: anywhere; unicode-bidi: plaintext }
th { white-space: nowrap } .wide { overflow-x: auto } svg { width: 100%; height: auto; margin-top: .6rem }
svg text { font: 12px system-ui, sans-serif; fill: #1a1a1a }
@media print { body { max-width: none; margin: 0 } h2 { break-after: avoid } tr { break-inside: avoid } }
"""


def page_of(report: "ExposureReport", verified: str = report_words.UNVERIFIED) -> str:
    """The whole page; `verified` is what is known of its checkpoint."""
    title = f"Who could read {report.dataset}, and who did"
    body = "\n".join(_section(section) for section in report_words.sections(report, verified))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{CLOSED}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<title>{text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{text(title)}</h1>
<p>{text(report_words.time_of(report))}</p>
{picture(report)}
{body}
</body>
</html>
"""


def text(value: object) -> str:
    """Any text as text, and never as markup; what cannot be seen, or turns text around, is written as an escape."""
    return html.escape(visible(value), quote=True)


def _section(section: "Section") -> str:
    says = "\n".join(
        f'<p class="incomplete">{text(line)}</p>' if line.startswith("INCOMPLETE") else f"<p>{text(line)}</p>"
        for line in section.says
    )
    return f"<section>\n<h2>{text(section.title.capitalize())}</h2>\n{says}\n{_table(section)}</section>"


def _table(section: "Section") -> str:
    if not section.rows:
        return ""
    head = "".join(f"<th>{text(heading)}</th>" for heading in section.headings)
    rows = "\n".join(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>" for row in section.rows)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{rows}\n</table></div>\n'

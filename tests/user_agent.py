"""Somebody with a browser, as a script: follows redirects, keeps cookies, fills in forms until there are none.

As `BROWSER` of the command line: `python tests/user_agent.py ana %s`.
"""

import sys
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx2

STEPS = 12


class Form(HTMLParser):
    """The first form of a page: where it goes, and its fields with what they already hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._is_open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form" and self.action is None:
            self.action, self._is_open = given.get("action") or "", True
        elif tag in ("input", "button") and self._is_open and (name := given.get("name")):
            self.fields.setdefault(name, given.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_open = False


def visit(url: str, who: str) -> str:
    """Goes to `url` and does what pages ask for, as `who`; the last page's address and text."""
    filled = {"login": who, "sub": who, "password": "anything"}
    with httpx2.Client(follow_redirects=True, trust_env=False, timeout=30) as browser:
        page = browser.get(url)
        for _ in range(STEPS):
            form = Form(page.text)
            if form.action is None:
                return f"{page.url}\n{page.text}"
            fields = {name: filled.get(name, value) for name, value in form.fields.items()}
            page = browser.post(urljoin(str(page.url), form.action), data=fields)
    raise AssertionError(f"the forms never end: {page.url}")


if __name__ == "__main__":
    print(visit(sys.argv[2], sys.argv[1]), file=sys.stderr)

"""Give the access token of a kept login, renewed where it is about to end."""

import os
from dataclasses import replace
from threading import Lock

from remit.errors import LoginFailed

from .keeping import Keeping
from .values import Login, Tokens


class KeptLogin:
    """Calling it gives an access token that can be sent; may be shared between threads.

    Raises `LoginFailed` where there is none any more, `Unreachable` where the issuer does not answer.
    """

    def __init__(self, keeping: Keeping, login: Login) -> None:
        self._keeping = keeping
        self._login = login
        self._renewing = Lock()

    def __call__(self) -> str:
        with self._renewing:
            if not self._login.is_fresh():
                self._login = self._renewed()
            return self._login.tokens.access

    def _renewed(self) -> Login:
        gateway = self._login.target.gateway
        with self._keeping.locked(gateway):
            # another process may have been here: its refresh token is the good one, ours is spent
            kept = self._keeping.get(gateway)
            if kept is None:
                raise LoginFailed(f"nobody is logged in at `{gateway}` any more; run `remit login`")
            if (kept.subject, kept.target) != (self._login.subject, self._login.target):
                raise LoginFailed(f"somebody else has logged in at `{gateway}` meanwhile; start again")
            if kept.is_fresh():
                return kept
            renewed = replace(kept, tokens=_refreshed(kept))
            self._keeping.put(renewed)
            return renewed


def kept_login(gateway: str) -> KeptLogin | None:
    """The kept login at `gateway`, if there is one."""
    keeping = Keeping.of(os.environ)
    login = keeping.get(gateway)
    return None if login is None else KeptLogin(keeping, login)


def _refreshed(login: Login) -> Tokens:
    spent = login.tokens.refresh
    if spent is None:
        raise LoginFailed(
            f"the login at `{login.target.gateway}` has ended, and its issuer gave nothing to renew it with; "
            "run `remit login`"
        )
    # imported here: most commands need no new token, and none should wait for an OAuth library to load
    from .oauth import OAuth

    with OAuth(login.target) as oauth:
        tokens = oauth.refresh(spent)
    # a provider that does not rotate gives no new one, and the old one stays good (RFC 6749 §6)
    return tokens if tokens.refresh else replace(tokens, refresh=spent)

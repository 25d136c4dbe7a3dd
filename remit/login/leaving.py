"""Log out: the issuer is told, and nothing is kept."""

from .keeping import Keeping
from .oauth import OAuth
from .values import Login


def log_out(keeping: Keeping, gateway: str) -> Login | None:
    """Revokes (RFC 7009, where the issuer has it) and forgets the login at `gateway`; None where there was none.

    It is forgotten also where the issuer cannot be told, and then what went wrong is raised.
    """
    with keeping.locked(gateway):
        login = keeping.get(gateway)
        if login is None:
            return None
        try:
            with OAuth(login.target) as oauth:
                if login.tokens.refresh is not None:
                    oauth.revoke(login.tokens.refresh, "refresh_token")
                oauth.revoke(login.tokens.access, "access_token")
        finally:
            keeping.forget(gateway)
        return login

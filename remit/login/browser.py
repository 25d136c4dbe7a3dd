"""Log in with a browser: authorization code with PKCE, and its answer on loopback."""

import hmac
import webbrowser
from collections.abc import Callable, Mapping

from remit.errors import LoginFailed

from .id_token import subject_of
from .loopback import listening
from .oauth import OAuth, Started
from .values import Login

SECONDS = 300
Tell = Callable[[str], None]


def log_in(oauth: OAuth, tell: Tell, *, opens: bool) -> Login:
    """Sends a browser to the provider and waits for it to come back; `opens` False only shows the address."""
    with listening() as listener:
        started = oauth.start(listener.redirect)
        if not (opens and webbrowser.open(started.url)):
            tell("open this address in a browser on this machine:")
            tell(started.url)
            if oauth.provider.device_endpoint is not None:
                tell("no browser on this machine? stop here, and run `remit login --device`")
        answer = listener.wait(SECONDS)
        code = check(answer, started, says_issuer=oauth.provider.says_issuer, issuer=oauth.target.issuer)
        tokens = oauth.exchange(code, started, listener.redirect)
    issuer = oauth.target.issuer
    if tokens.id_token is None:
        raise LoginFailed(f"`{issuer}` did not say who logged in: it gave no ID token; ask whoever runs it")
    subject = subject_of(
        tokens.id_token, oauth.keys(), issuer=issuer, client_id=oauth.target.client_id, nonce=started.nonce
    )
    return Login(oauth.target, subject, tokens)


def check(answer: Mapping[str, str], started: Started, *, says_issuer: bool, issuer: str) -> str:
    """The code, where the answer is to this request (`state`) and from this issuer (`iss`, RFC 9207)."""
    if not hmac.compare_digest(answer.get("state", "").encode(), started.state.encode()):
        raise LoginFailed("the browser came back from another login than this one; run `remit login` again")
    come_from = answer.get("iss")
    if (come_from is None and says_issuer) or come_from not in (None, issuer):
        raise LoginFailed("the browser came back from another issuer than it was sent to; run `remit login` again")
    if "error" in answer:
        said = answer.get("error_description", "")
        raise LoginFailed(
            f"`{issuer}` refused: {answer['error']}{f' ({said})' if said else ''}; run `remit login` again"
        )
    if not answer.get("code"):
        raise LoginFailed("the browser came back without a code; run `remit login` again")
    return answer["code"]

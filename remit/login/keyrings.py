"""The system's keyring, where it has one. The only door to `keyring`, which is loaded when a login is kept there."""

from collections.abc import Iterator
from contextlib import contextmanager

from remit.errors import LoginFailed

SERVICE = "remit"


def is_there() -> bool:
    """Whether there is one to trust: what keeps nothing, or keeps it in the clear, has a priority below 1."""
    import keyring

    with _translated():
        return keyring.core.recommended(keyring.get_keyring())


def get(gateway: str) -> str | None:
    """What was kept for `gateway`."""
    import keyring

    with _translated():
        return keyring.get_password(SERVICE, gateway)


def put(gateway: str, login: str) -> None:
    """Keeps `login`, in the place of what was there."""
    import keyring

    with _translated():
        keyring.set_password(SERVICE, gateway, login)


def forget(gateway: str) -> None:
    """Takes away what was kept for `gateway`; nothing may be there."""
    import keyring
    from keyring.errors import PasswordDeleteError

    with _translated():
        try:
            keyring.delete_password(SERVICE, gateway)
        except PasswordDeleteError:
            if keyring.get_password(SERVICE, gateway) is not None:
                raise


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  # backends raise what they like, and it may quote what they were given
        raise LoginFailed(
            f"the keyring of this machine cannot be used ({type(error).__name__}); unlock it, or set "
            "PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring and run `remit login`: then a file keeps it"
        ) from None

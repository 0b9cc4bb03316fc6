"""What can go wrong between lyts and Syncthing. No sentence here ever holds an API key."""

from __future__ import annotations

from tagfs.errors import BadRequest, PeerDataError, StoreError

OLDEST = (1, 27)
"""The oldest Syncthing that is supported; Debian 12 ships 1.19, Debian 13 has 1.29."""


def oldest_text() -> str:
    return ".".join(map(str, OLDEST))


class SyncthingError(StoreError):
    """Base: Syncthing cannot do it just now. Files, tags and facts on this device are not concerned."""


class NotReachable(SyncthingError):
    """Nothing answers where Syncthing should."""

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        self.why = why
        super().__init__(
            f"Syncthing does not answer at {where} ({why}). "
            "Is it running? lyts sync status tells, lyts sync up starts it"
        )


class TookTooLong(SyncthingError):
    """Syncthing answers, but not in time. It may still be at it: ask for the state before asking again."""

    def __init__(self, what: str, after_s: float) -> None:
        self.what = what
        self.after_s = after_s
        super().__init__(f"Syncthing did not answer {what} within {after_s:g} s; it may be busy")


class WrongKey(SyncthingError):
    """The API key is not the one of that Syncthing."""

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(
            f"the Syncthing at {where} refuses the API key lyts has. If you changed the key or your Syncthing, "
            "say so again with: lyts sync up --attach PATH-OF-ITS-config.xml"
        )


class TooOld(SyncthingError):
    """A Syncthing before `OLDEST`."""

    def __init__(self, found: str, where: str) -> None:
        self.found = found
        self.where = where
        super().__init__(
            f"the Syncthing at {where} is {found}, and lyts needs {oldest_text()} or newer. "
            "lyts doctor tells how to get one"
        )


class NoProgram(SyncthingError):
    """There is no Syncthing on this machine that lyts could start."""

    def __init__(self, looked: str) -> None:
        self.looked = looked
        super().__init__(
            f"there is no Syncthing on this machine ({looked}). Install version {oldest_text()} or newer, "
            "or say where it is: LYTS_SYNCTHING=/path/to/syncthing. lyts doctor tells more"
        )


class NotStarted(SyncthingError):
    """Syncthing was started and ended at once, or never answered."""


class FolderNotKnown(SyncthingError):
    """Syncthing has no folder of this id."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        super().__init__(f"Syncthing knows no folder {folder!r}")


class FolderPaused(SyncthingError):
    """The folder is there and is paused: Syncthing neither scans it nor tells what is in it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        super().__init__(f"the folder {folder!r} is paused in Syncthing")


class FolderStopped(SyncthingError):
    """Syncthing has stopped the folder by itself, for example because its marker is gone."""

    def __init__(self, folder: str, why: str) -> None:
        self.folder = folder
        self.why = why
        super().__init__(
            f"Syncthing has stopped the folder {folder!r}: {why}. Nothing is made again by itself: "
            "look whether its disk is there and whole"
        )


class DeviceNotKnown(SyncthingError):
    """Syncthing has no device of this id."""

    def __init__(self, device: str) -> None:
        self.device = device
        super().__init__(f"Syncthing knows no device {device}")


class Refused(SyncthingError):
    """Any other answer that is not a yes. `status` is HTTP's, `said` Syncthing's own words."""

    def __init__(self, what: str, status: int, said: str) -> None:
        self.what = what
        self.status = status
        self.said = said
        super().__init__(f"Syncthing refused {what}: {said or 'no reason given'} (status {status})")


class BadAnswer(PeerDataError):
    """An answer that is not what this call gives; perhaps it is not Syncthing at all."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"the answer to {what} is not one of Syncthing's ({why}); does something else listen there?")


class BadAddress(BadRequest):
    """An address that lyts does not talk to."""

    def __init__(self, given: str, why: str) -> None:
        self.given = given
        self.why = why
        super().__init__(f"{given!r} cannot be used as the address of Syncthing: {why}")


class BadSettings(SyncthingError):
    """A config.xml or settings file that does not say what is needed."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        self.why = why
        super().__init__(f"{path}: {why}")

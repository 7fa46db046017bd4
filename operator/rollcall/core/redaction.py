"""Secrets in the words of programs: hidden before anything is kept or told.

What a program leaves as its last words, or says of an error, goes into the database, statuses and
chats. A password in it is recognised by its name or by its own shape; data that programs hand on
(checkpoints, payloads) is not touched.
"""

import re

HIDDEN = "***"

_NAMES = (
    r"pass(?:word|wd|phrase)|pwd|secret|token|credentials?|(?:api|access|private|secret)[_-]?key"
)
_PATTERNS = (
    re.compile(r"(-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----).*?(?:(?=-----END)|\Z)", re.DOTALL),
    re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,200}:)[^\s/@]{1,200}(?=@)", re.IGNORECASE),
    re.compile(r"(\bauthorization[\"']?\s?[:=]\s?[\"']?(?:\w{1,20}\s)?)[^\s\"',]+", re.IGNORECASE),
    re.compile(r"(\b(?:bearer|basic)\s)[\w.~+/=-]{16,}", re.IGNORECASE),
    # After a colon words follow as well ("unexpected token: then"): quotes or a digit tell.
    re.compile(rf"((?:{_NAMES})[\"']?\s?[:=]\s?[\"'])[^\"']+", re.IGNORECASE),
    re.compile(rf"((?:{_NAMES})=)[^\s\"'&,;]+", re.IGNORECASE),
    re.compile(rf"((?:{_NAMES}):\s?)(?=[^\s\"',;]{{0,200}}\d)[^\s\"',;]{{6,}}", re.IGNORECASE),
    re.compile(r"(\bhttps://hooks\.slack\.com/)\S+"),
    re.compile(
        r"()\b(?:eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]{4,}|(?:AKIA|ASIA)[A-Z0-9]{16}|xox[abeprs]-[\w-]{10,}"
        r"|gh[pousr]_\w{20,}|glpat-[\w-]{16,}|sk-[\w-]{20,})"
    ),
)


def redacted(text: str, longest: int | None = None) -> str:
    """Return the text with what looks like a secret hidden, cut to the length that it may have.

    Doing it twice changes nothing.
    """
    for pattern in _PATTERNS:
        if pattern.search(text):  # to replace nothing takes thrice as long
            text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text[:longest]

"""What a replica's host tags its instance with (`easel:why`), as sentences of ours.

Tags hold text alone, of the letters that AWS takes. The host's scripts say few sentences
(infra/instances/host), each of which is known here by its form; what they quote stays as it is, and so does
what is not known.
"""

from __future__ import annotations

import re

from easel.remark import Remark, remark

_PREPARED = remark("host_prepared", "prepared: stopped until somebody draws")
_CONTAINER = remark("host_container", "starting the container")
_FIXED = {str(one): one for one in (_PREPARED, _CONTAINER)}
_FORMS = tuple(
    re.compile(form, re.DOTALL)
    for form in (
        r"(?P<interrupted>interrupted: AWS takes this spot instance back at) (?P<at>\S+)",
        r"(?P<container_failed>the container says that it failed:) (?P<said>.*)",
        r"(?P<no_answer>no answer within) (?P<n>[0-9]+) s: (?P<said>.*)",
        r"(?P<ended>the container ended code) (?P<said>.*)",
        r"(?P<again>start) (?P<n>[0-9]+) after: (?P<said>.*)",
        r"(?P<no_pull>cannot pull) (?P<what>\S+): (?P<said>.*)",
        r"(?P<no_read>cannot read) (?P<what>\S+): (?P<said>.*)",
        r"(?P<no_make>cannot make the container:) (?P<said>.*)",
        r"(?P<no_start>cannot start the container:) (?P<said>.*)",
        r"(?P<no_mount>cannot mount) (?P<what>\S+) from (?P<place>\S+): (?P<said>.*)",
        r"(?P<what>\S+ of \S+) does not answer",
    )
)


def host_words(why: str) -> str:
    """`why`, as a remark where the host said a sentence that is known; "" for none."""
    if why in _FIXED:
        return _FIXED[why]
    found = next((match for form in _FORMS if (match := form.fullmatch(why))), None)
    return _remark(found) if found else why


def _remark(found: re.Match[str]) -> Remark:
    parts = found.groupdict()
    said, n, what = parts.get("said", ""), parts.get("n", ""), parts.get("what", "")
    if "interrupted" in parts:
        words = "interrupted: AWS takes this spot instance back at {at}"
        return remark("host_interrupted", words, at=parts["at"])
    if "container_failed" in parts:
        return remark("host_container_failed", "the container says that it failed: {said}", said=said)
    if "no_answer" in parts:
        return remark("host_no_answer", "no answer within {n} s: {said}", n=n, said=said)
    if "ended" in parts:
        return remark("host_container_ended", "the container ended code {said}", said=said)
    if "again" in parts:
        return remark("host_again", "start {n} after: {said}", n=n, said=said)
    if "no_pull" in parts:
        return remark("host_no_pull", "cannot pull {what}: {said}", what=what, said=said)
    if "no_read" in parts:
        return remark("host_no_read", "cannot read {what}: {said}", what=what, said=said)
    if "no_make" in parts:
        return remark("host_no_make", "cannot make the container: {said}", said=said)
    if "no_start" in parts:
        return remark("host_no_start", "cannot start the container: {said}", said=said)
    if "no_mount" in parts:
        words = "cannot mount {what} from {place}: {said}"
        return remark("host_no_mount", words, what=what, place=parts["place"], said=said)
    return remark("host_no_file_system", "{what} does not answer", what=what)

"""OpenAI's API for pictures, `/v1/images/…` and `/v1/models`, in front of the same engine.

It is for programs that know no other: requests become A1111's, so that limits, options, fair shares and what
is told of a request are the same for both.
"""

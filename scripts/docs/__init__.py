"""Pages and pictures of docs/ that are written by programs.

`python -m scripts.docs.architecture` and `make screenshots` make the pictures, `easel schema` and
`easel cost --table` the pages.
"""

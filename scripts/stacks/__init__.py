"""Stack files as commands read and change them: the loader, edits that keep comments, a change with its diff.

What a stack file may say is infra.spec's business.
"""

"""Models that people send: kept in pieces over any number of interruptions, in the store once they are whole.

What speaks HTTP is `easel.studio.files`; here is what lies on the disk and what may become a model.
"""

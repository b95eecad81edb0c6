"""Easel on this machine, as `easel up` runs it: its folders, its configuration, its gateway's process.

`temporary` starts one for the length of a measurement.
"""

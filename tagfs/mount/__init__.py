"""The mount: FUSE requests in, answers out.

What a directory contains and what an operation on a name does is decided in
`tagfs.views`, which has never heard of FUSE. Here it is only translated: inodes, handles,
attributes, errors, and the session with the kernel. pyfuse3 and trio are imported by
this package alone, and by nothing on the way of a command that does not mount.
"""

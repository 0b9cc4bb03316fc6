"""What the mount shows and what it allows, decided without FUSE: paths in, files and statements out.

    directory   a path below the mount, read by its form: which kind of directory is it
    tree        what there is: look up a name, the files of a directory, what makes them stale
    listing     which directories a directory lists
    recent      the files most lately added or changed
    matrix      every operation in every kind of directory: its effect, or why it is refused
    effects     from an allowed operation to the statements that carry it out
    attributes  the same for permissions, times and extended attributes
    static      README.md and CACHEDIR.TAG
    brake       stops one program that removes file after file

Everything in here is pure but for looking through a `View`; clocks and numbers of
processes are arguments. The adapter in `tagfs.mount` translates and decides nothing.
"""

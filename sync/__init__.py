"""sync: nodes, nodesets and Syncthing. May import tagfs, never shell."""

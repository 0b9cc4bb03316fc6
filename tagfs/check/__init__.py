"""Looking for trouble: `fsck` compares what should agree, `doctor` looks at the machine and the store around it."""

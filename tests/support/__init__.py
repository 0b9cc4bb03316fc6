"""What several tests share: stores with a clock of their own, facts to merge, a model to compare with."""

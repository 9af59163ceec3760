"""The sentence and its nouns: plug-ins, sweeps, seeds, trials, verdicts and identities."""

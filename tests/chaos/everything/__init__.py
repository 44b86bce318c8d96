"""All faults in one run of some minutes, with quotas that have to be met, and times to recover from each kind."""

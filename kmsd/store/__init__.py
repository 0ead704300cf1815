"""Objects, labels and grants on four databases; `interfaces` is all that others need."""

"""Tables, figures and pages of a sweep's results."""

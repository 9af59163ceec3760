"""Systems whose answers are known, one a file; studies train them beside their own cells."""

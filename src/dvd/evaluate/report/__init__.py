"""What an evaluation found, to be read: tables beside the published numbers, comparisons, one page."""

"""Reports of an evaluation: tables beside the published numbers, comparisons, one page."""

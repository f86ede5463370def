"""The rows of the table of data sets (`dvd.data.layouts`)."""

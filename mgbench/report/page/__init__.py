"""The page: one HTML file that needs nothing but itself; `report.write_report` writes that of a study."""

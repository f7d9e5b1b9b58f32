"""Self-contained HTML pages; `report.write_report` writes that of a study."""

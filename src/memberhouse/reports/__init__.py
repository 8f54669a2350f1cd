"""What is written for readers from ``bi``: the weekly head-office report.

``weekly.write`` is the door. Behind it: ``weekly_data`` (one release, one transaction, as the BI role),
``weekly_page`` (a pure function from those figures to HTML), ``charts`` (SVG), ``wording`` (both languages).
"""

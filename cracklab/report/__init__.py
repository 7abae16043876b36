"""`cracklab report`: tables, figures and one page from run folders."""

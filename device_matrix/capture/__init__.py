"""What really went over the link: captured RTP, the browser's statistics, drops."""

"""Places real calls from many device profiles over shaped links, in a real browser.

A *cell* is one device, one network and one scenario. pytest runs the cells (``pytest device_matrix -n 4``). Each
attempt at a cell writes one folder of artifacts and one ``cell.json``. The far end of every call is a user on our own
engine, which answers.
"""

"""Places real calls from many device profiles over shaped links, through the browser that people use.

A *cell* is one device x network x scenario. pytest runs the cells (``pytest device_matrix -n 4``), one attempt of a
cell writes one folder of artifacts and one ``cell.json``, and the far end of every call is an engine peer that
answers.
"""

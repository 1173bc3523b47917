"""The inputs of `estimate`: arrays, files of arrays, and columns of tables.

samples        checks x and y, and finds the kind of each: numbers, classes,
               images
files          .npy, .npz and tables, by name
tables         columns of .csv, .tsv and .parquet (dialect, cells)
"""

"""
What a real C{twistd consumer} process does, judged by what a real endpoint saw.
"""

"""Measuring what comes out: agreement with expert masks, filters to compare with, reports."""
